/**
 * Exponential backoff without jitter, in milliseconds: `firstMs` at attempt 0, doubled with each attempt, at
 * most `maxMs`. Callers add their own jitter.
 */
export const backoffCeilingMs = (attempt: number, firstMs: number, maxMs: number): number =>
  Math.min(firstMs * 2 ** Math.min(attempt, 32), maxMs);
