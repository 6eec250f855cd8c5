/** Hint that Bun appends to error messages of fetch. Operators cannot act on it. */
const HINT = /[.,;]?\s*For more information, pass `verbose: true`[^\n]*/g;

/** Message of an error for an operator, without hints for programmers. */
export const messageOf = (cause: unknown, unknown = "unknown error"): string =>
  (cause instanceof Error ? cause.message.replace(HINT, "").trim() : "") || unknown;
