/**
 * Returns the milliseconds since the Unix epoch. Entry files pass `Date.now`, and tests pass a clock that
 * they control.
 */
export type Clock = () => number;

/**
 * Fixed-width UTC timestamp, for example `2026-11-21T23:04:05.678Z`. As a string it sorts by time, so it can
 * be used in keys.
 */
export function timestamp(epochMs: number): string {
  return new Date(epochMs).toISOString();
}

/**
 * Whether less than `ms` have passed since `sinceMs`. False if `sinceMs` is in the future: the clock was set
 * back, so the age is unknown.
 */
export const isRecent = (sinceMs: number, nowMs: number, ms: number): boolean =>
  sinceMs <= nowMs && nowMs - sinceMs < ms;
