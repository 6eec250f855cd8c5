/** Set by tests/supervise.ts: it removes the network namespaces whose names begin with this. */
export const NAMESPACE_PREFIX_VARIABLE = "LZ_TEST_NAMESPACES";

/** What the names of a test file's network namespaces and links begin with. With one letter more a link has 12 of 15. */
export const namespaceId = (): string =>
  `${process.env[NAMESPACE_PREFIX_VARIABLE] ?? "lzt0000"}${crypto.randomUUID().slice(0, 4)}`;
