/** Milliseconds since the Unix epoch. Entry files pass `Date.now`; tests pass a clock they can turn. */
export type Clock = () => number;

/** Fixed-width UTC timestamp, `2026-11-21T23:04:05.678Z`: as a string it sorts by time, so it can be a key. */
export function timestamp(epochMs: number): string {
  return new Date(epochMs).toISOString();
}

/** Whether less than `ms` have passed. False of a moment to come: the clock was set back, and how long ago is not known. */
export const isRecent = (sinceMs: number, nowMs: number, ms: number): boolean =>
  sinceMs <= nowMs && nowMs - sinceMs < ms;
