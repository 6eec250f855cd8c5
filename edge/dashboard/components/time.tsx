const [SECOND, MINUTE, HOUR, DAY] = [1000, 60_000, 3_600_000, 86_400_000];

/** Data older than this is shown with its own age, because it is older than the page on which it appears. */
export const AGE_SHOWN_AFTER_MS = 5000;

/**
 * Formats a duration in one unit, rounded down: `12 s`, `5 min`, `3 h`, `9 d`. timestamps.client.js uses the
 * same format.
 */
export function duration(ms: number): string {
  const length = Math.abs(ms);
  if (length < MINUTE) return `${Math.floor(length / SECOND)} s`;
  if (length < 90 * MINUTE) return `${Math.floor(length / MINUTE)} min`;
  if (length < 48 * HOUR) return `${Math.floor(length / HOUR)} h`;
  return `${Math.floor(length / DAY)} d`;
}

export function relative(atMs: number, nowMs: number): string {
  const passed = nowMs - atMs;
  if (Math.abs(passed) < 1000) return "just now";
  return passed > 0 ? `${duration(passed)} ago` : `in ${duration(passed)}`;
}

/**
 * Maximum time in ms by which a host's clock may be ahead of the server's clock (`CLOCK_SKEW_SECONDS_MAX` of
 * the wire format).
 */
const AHEAD_MS_MAX = 300_000;

/**
 * The age of a past event. If the host's clock is slightly ahead, shows "just now" instead of a time in the
 * future.
 */
const since = (atMs: number, nowMs: number): string =>
  relative(atMs > nowMs && atMs - nowMs <= AHEAD_MS_MAX ? nowMs : atMs, nowMs);

/** Formats a stored timestamp as `2026-11-21 23:04:05 UTC`. */
export const exact = (at: string): string => `${at.slice(0, 10)} ${at.slice(11, 19)} UTC`;

/**
 * The age of a past event, for example `5 min ago`. The tooltip has the exact time. The browser script
 * converts it to the user's time zone.
 */
export const Ago = ({ at, now }: { at: string; now: number }) => (
  <time datetime={at} title={exact(at)} data-time="ago">
    {since(Date.parse(at), now)}
  </time>
);

/** The time until or since an event that may be in the future, e.g. `in 5 min`. */
export const Until = ({ at, now }: { at: string; now: number }) => (
  <time datetime={at} title={exact(at)} data-time="until">
    {relative(Date.parse(at), now)}
  </time>
);

/** Time since a condition began. A start in the future (clock skew) counts as 0. */
export const Age = ({ since, now }: { since: string; now: number }) => (
  <time datetime={since} title={exact(since)} data-time="age">
    {duration(Math.max(0, now - Date.parse(since)))}
  </time>
);

/** An exact time, for records that users may quote elsewhere. */
export const Moment = ({ at }: { at: string }) => (
  <time datetime={at} title={exact(at)} data-time="exact">
    {exact(at)}
  </time>
);
