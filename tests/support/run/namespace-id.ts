/**
 * Environment variable set by tests/supervise.ts. The supervisor removes network namespaces with this name
 * prefix.
 */
export const NAMESPACE_PREFIX_VARIABLE = "LZ_TEST_NAMESPACES";

/**
 * Returns a name prefix for the network namespaces and links of a test file. The name of a link is the prefix
 * and one more letter: 12 characters. Linux allows 15 characters.
 */
export const namespaceId = (): string =>
  `${process.env[NAMESPACE_PREFIX_VARIABLE] ?? "lzt0000"}${crypto.randomUUID().slice(0, 4)}`;
