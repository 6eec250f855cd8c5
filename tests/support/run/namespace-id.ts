/** Set by tests/supervise.ts, which removes network namespaces with this name prefix. */
export const NAMESPACE_PREFIX_VARIABLE = "LZ_TEST_NAMESPACES";

/**
 * Prefix for the names of a test file's network namespaces and links. With one more letter a link name has 12
 * of at most 15 characters.
 */
export const namespaceId = (): string =>
  `${process.env[NAMESPACE_PREFIX_VARIABLE] ?? "lzt0000"}${crypto.randomUUID().slice(0, 4)}`;
