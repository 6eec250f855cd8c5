/**
 * Result of one check. `advice` says what the operator can do. The state `note` is not a fault. For example,
 * an optional part is missing.
 */
export type Check = { name: string; state: "ok" | "not ok" | "note"; found: string; advice?: string };

export const good = (name: string, found: string): Check => ({ name, state: "ok", found });
export const bad = (name: string, found: string, advice: string): Check => ({
  name,
  state: "not ok",
  found,
  advice,
});
export const note = (name: string, found: string, advice?: string): Check => ({
  name,
  state: "note",
  found,
  ...(advice !== undefined && { advice }),
});
