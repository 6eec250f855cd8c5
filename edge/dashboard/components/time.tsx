const [SECOND, MINUTE, HOUR, DAY] = [1000, 60_000, 3_600_000, 86_400_000];

/** What was read longer ago than this is told with its age: the page's own age says nothing of it. */
export const AGE_TOLD_MS = 5000;

/** A length of time in one unit: `12 s`, `5 min`, `3 h`, `9 d`. The script in the browser says it the same way. */
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

/** Hosts tell the time by clocks that may be this far ahead (`CLOCK_SKEW_SECONDS_MAX` of the wire). */
const AHEAD_MS_MAX = 300_000;

/** Of what has happened: by a clock a little ahead of ours it is just now, and not yet to come. */
export const since = (atMs: number, nowMs: number): string =>
  relative(atMs > nowMs && atMs - nowMs <= AHEAD_MS_MAX ? nowMs : atMs, nowMs);

/** `2026-11-21 23:04:05 UTC` of a stored timestamp. */
export const exact = (at: string): string => `${at.slice(0, 10)} ${at.slice(11, 19)} UTC`;

/** Something that happened, as its distance from now; the exact moment on hover, in the viewer's zone once the script runs. */
export const Ago = ({ at, now }: { at: string; now: number }) => (
  <time datetime={at} title={exact(at)} data-time="ago">
    {since(Date.parse(at), now)}
  </time>
);

/** The same of something that is to come, or was. */
export const Until = ({ at, now }: { at: string; now: number }) => (
  <time datetime={at} title={exact(at)} data-time="until">
    {relative(Date.parse(at), now)}
  </time>
);

/** How long something has lasted: what begins later by the clock of a host has not yet. */
export const Age = ({ since, now }: { since: string; now: number }) => (
  <time datetime={since} title={exact(since)} data-time="age">
    {duration(Math.max(0, now - Date.parse(since)))}
  </time>
);

/** The exact moment, written out: for records that have to be quoted. */
export const Moment = ({ at }: { at: string }) => (
  <time datetime={at} title={exact(at)} data-time="exact">
    {exact(at)}
  </time>
);
