/**
 * Id of an event, derived from its content. An event that is written again, for example by another worker,
 * has the same id, so receivers can ignore duplicates.
 */
export const eventIdOf = (kind: string, identity: string): string =>
  `evt_${Bun.hash.wyhash(`${kind} ${identity}`).toString(36)}${Bun.hash.wyhash(identity, 1n).toString(36)}`;
