import type { IdentityScene } from "../policy/rule.ts";
import type { IdentityUse, RunSeen } from "../table/items/asset/presence.ts";

/**
 * Notices two machines that use one identity. Each daemon names its run, and the runs of one machine follow each other:
 * when a later run has begun, an earlier one is over, and what it still sends was made before. Of two machines the
 * heartbeats alternate: the earlier run returns, with heartbeats made after the later one began, again and again.
 */

/** A run without a heartbeat for this long is over; at least five intervals, so that slow hosts are noticed too. */
export const WINDOW_MS_MIN = 10 * 60_000;
const WINDOW_INTERVALS = 5;
/** One return may be a clock that was set, or a machine that was put back to a snapshot. */
const RETURNS_MIN = 2;
/** Runs that are remembered. Of a thousand copies these few are enough to see that runs return. */
export const RUNS_MAX = 8;
/** A machine that is refused asks again every few seconds: presence is written this often at most. */
const SIGHTING_EVERY_MS = 60_000;

const windowMs = (intervalMs: number): number => Math.max(WINDOW_MS_MIN, WINDOW_INTERVALS * intervalMs);

export type Used = { run: string; hostname: string; at: string; intervalMs: number };

/** What is known with one heartbeat more; the same object when that adds nothing that has to be kept. */
export function noteRun(
  before: IdentityUse | undefined,
  { run, hostname, at, intervalMs }: Used,
): IdentityUse {
  const { runs = [], latest, returns = [], refused } = before ?? {};
  const known = runs.find((one) => one.run === run);
  const others = runs.filter((other) => other.run !== run && isWithin(other.lastSeenAt, at, intervalMs));
  const hasRoom = others.length < RUNS_MAX;
  if (before && latest === run && (known || !hasRoom)) return before;
  // Undefined: an untracked run, because so many use the identity that not all are remembered.
  const between = runs.find((other) => other.run === latest);
  const isReturn =
    known !== undefined &&
    at > known.lastSeenAt &&
    (between === undefined || (between.firstSeenAt > known.firstSeenAt && at > between.firstSeenAt));
  const seen: RunSeen = known
    ? { ...known, hostname, lastSeenAt: at > known.lastSeenAt ? at : known.lastSeenAt }
    : { run, hostname, firstSeenAt: at, lastSeenAt: at };
  return {
    runs: known || hasRoom ? [...others, seen] : others,
    latest: run,
    returns: isReturn ? [...returns, at].sort().slice(-RETURNS_MIN) : returns,
    ...(refused && { refused }),
  };
}

/** The time up to which the run was seen, for a presence that is written anyway. */
export const touchRun = (use: IdentityUse, run: string, at: string): IdentityUse => ({
  ...use,
  runs: use.runs.map((one) => (one.run === run && at > one.lastSeenAt ? { ...one, lastSeenAt: at } : one)),
});

/** What is known with a session that was refused to another machine; the same object when nothing has to be kept. */
export function noteRefused(
  before: IdentityUse | undefined,
  { hostname, at, intervalMs }: { hostname: string | undefined; at: string; intervalMs: number },
): IdentityUse {
  const use = before ?? { runs: [], returns: [] };
  const { refused } = use;
  const goesOn = refused && isWithin(refused.lastAt, at, intervalMs);
  if (goesOn && Date.parse(at) - Date.parse(refused.lastAt) < SIGHTING_EVERY_MS) return use;
  const name = hostname ?? (goesOn ? refused.hostname : undefined);
  return {
    ...use,
    refused: {
      firstAt: goesOn ? refused.firstAt : at,
      lastAt: at,
      ...(name !== undefined && { hostname: name }),
    },
  };
}

/** What a heartbeat of this time has to say about the use of its identity; undefined when one machine uses it. */
export function sceneOf(
  use: IdentityUse | undefined,
  { at, intervalMs }: { at: string; intervalMs: number },
): IdentityScene | undefined {
  if (!use) return undefined;
  const { refused } = use;
  const isRefused = refused && refused.firstAt <= at && isWithin(refused.lastAt, at, intervalMs);
  const [first, second] = use.returns;
  const isShared =
    first !== undefined &&
    second !== undefined &&
    first <= at &&
    isWithin(first, second, intervalMs) &&
    isWithin(second, at, intervalMs);
  if (!isRefused && !isShared) return undefined;
  const runs = isShared ? use.runs.filter(({ lastSeenAt }) => lastSeenAt >= first) : [];
  return {
    machines: runs
      .sort((a, b) => (a.firstSeenAt < b.firstSeenAt ? -1 : 1))
      .map(({ hostname, firstSeenAt }) => ({ hostname, since: firstSeenAt })),
    ...(isRefused && { refused: { hostname: refused.hostname, since: refused.firstAt } }),
  };
}

/** Whether `later` is no further behind `earlier` than a machine that reports can be. */
const isWithin = (earlier: string, later: string, intervalMs: number): boolean =>
  Date.parse(later) - Date.parse(earlier) <= windowMs(intervalMs);
