import type { IdentityConflict } from "../policy/rule.ts";
import type { IdentityUse, RunSeen } from "../table/items/asset/presence.ts";

/**
 * Detects two machines that use one identity. Each daemon start has a run id. On one machine, runs follow
 * each other: after a later run has begun, the earlier one only sends heartbeats that it made before. With
 * two machines, the heartbeats alternate: the earlier run returns, with heartbeats that it made after the
 * later run began.
 */

/**
 * Minimum time without a heartbeat after which a run is over. The time is at least five intervals, so that
 * two hosts with a long interval are detected too.
 */
const WINDOW_MS_MIN = 10 * 60_000;
const WINDOW_INTERVALS = 5;
/**
 * Minimum number of times that an earlier run returns before two machines are assumed. A single return can be
 * caused by a changed clock or a restored snapshot.
 */
const RETURNS_MIN = 2;
/** Maximum number of runs per identity. This is enough to detect returns even with a thousand copies. */
export const RUNS_MAX = 8;
/** Minimum time between two writes about refused sessions. A refused machine retries every few seconds. */
const SIGHTING_EVERY_MS = 60_000;

const windowMs = (intervalMs: number): number => Math.max(WINDOW_MS_MIN, WINDOW_INTERVALS * intervalMs);

export type Used = { run: string; hostname: string; at: string; intervalMs: number };

/** Adds one heartbeat to the identity's use. Returns the same object if nothing needs to be stored. */
export function noteRun(
  before: IdentityUse | undefined,
  { run, hostname, at, intervalMs }: Used,
): IdentityUse {
  const { runs = [], latest, returns = [], refused } = before ?? {};
  const known = runs.find((one) => one.run === run);
  const others = runs.filter((other) => other.run !== run && isWithin(other.lastSeenAt, at, intervalMs));
  const hasRoom = others.length < RUNS_MAX;
  if (before && latest === run && (known || !hasRoom)) return before;
  // Undefined if the latest run is not tracked because more than {@link RUNS_MAX} runs use the identity.
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

/** Updates the time at which a run was last seen. Only used if the presence is written for another reason. */
export const touchRun = (use: IdentityUse, run: string, at: string): IdentityUse => ({
  ...use,
  runs: use.runs.map((one) => (one.run === run && at > one.lastSeenAt ? { ...one, lastSeenAt: at } : one)),
});

/** Adds a session that was refused to another machine. Returns the same object if nothing needs to be stored. */
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

/** Evidence that more than one machine uses the identity at this time. Undefined if only one machine does. */
export function identityConflictOf(
  use: IdentityUse | undefined,
  { at, intervalMs }: { at: string; intervalMs: number },
): IdentityConflict | undefined {
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

/** True if `later` follows `earlier` within the time for which a run counts as active. */
const isWithin = (earlier: string, later: string, intervalMs: number): boolean =>
  Date.parse(later) - Date.parse(earlier) <= windowMs(intervalMs);
