/** Hint that Bun appends to error messages of fetch. It does not help operators. */
const HINT = /[.,;]?\s*For more information, pass `verbose: true`[^\n]*/g;

/** Message of an error for an operator, without hints that are only useful to programmers. */
export const messageOf = (cause: unknown, unknown = "unknown error"): string =>
  (cause instanceof Error ? cause.message.replace(HINT, "").trim() : "") || unknown;
