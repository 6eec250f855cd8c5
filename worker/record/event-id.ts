/**
 * Id of an event, derived from its content. If an event is written again, for example by another worker, it
 * has the same id. Receivers can therefore ignore duplicates.
 */
export const eventIdOf = (kind: string, identity: string): string =>
  `evt_${Bun.hash.wyhash(`${kind} ${identity}`).toString(36)}${Bun.hash.wyhash(identity, 1n).toString(36)}`;
