/**
 * Id of an event, made of what it is about: an event that is told again, by another worker say, is the same one to
 * whoever receives it.
 */
export const eventIdOf = (kind: string, identity: string): string =>
  `evt_${Bun.hash.wyhash(`${kind} ${identity}`).toString(36)}${Bun.hash.wyhash(identity, 1n).toString(36)}`;
