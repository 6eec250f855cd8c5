/** Bun adds it to the messages of its fetch. An operator cannot pass anything to a fetch of ours. */
const HINT = /[.,;]?\s*For more information, pass `verbose: true`[^\n]*/g;

/** What went wrong, in words for an operator: the message of an error without hints that are for programmers. */
export const messageOf = (cause: unknown, unknown = "unknown error"): string =>
  (cause instanceof Error ? cause.message.replace(HINT, "").trim() : "") || unknown;
