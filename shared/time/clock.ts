/** Milliseconds since the Unix epoch. Entry files pass `Date.now`; tests pass a clock that they control. */
export type Clock = () => number;

/** Fixed-width UTC timestamp, `2026-11-21T23:04:05.678Z`. Sorts by time as a string, so it can be used in keys. */
export function timestamp(epochMs: number): string {
  return new Date(epochMs).toISOString();
}

/**
 * Whether less than `ms` have passed since `sinceMs`. False for a future time: the clock was set back, so the
 * age is unknown.
 */
export const isRecent = (sinceMs: number, nowMs: number, ms: number): boolean =>
  sinceMs <= nowMs && nowMs - sinceMs < ms;
