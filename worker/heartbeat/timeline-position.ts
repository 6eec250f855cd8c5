import { hoursBoundary } from "../../shared/policy/hours.ts";
import type { PresenceItem } from "../../shared/table/items/asset/presence.ts";
import type { TenantItem } from "../../shared/table/items/tenant.ts";
import { shardOf } from "../../shared/table/keys.ts";
import { timestamp } from "../../shared/time/clock.ts";
import { isSameState, withoutSpool } from "./state-hash.ts";

/**
 * Fields of a heartbeat that determine its position on the timeline of its asset. Available without parsing.
 */
export type Moment = {
  /** `sentAt`, or `receivedAt` if the clock of the host is wrong: see plausible-dates.ts. */
  at: string;
  receivedAt: string;
  /** As reported by the agent, or the start of the day if the clock of the host is wrong. */
  stateSince: string;
  sequence: number;
  assetId: string;
};

/**
 * Offset of an asset's resolution intervals, as a fraction of the interval (0 to 1, exclusive). A hash of the
 * asset id, so that a fleet does not write all its samples in the same second and every worker gets the same
 * value.
 */
export const phaseOf = (assetId: string): number => shardOf(assetId, 2 ** 32) / 2 ** 32;

/** The later of two timestamps. Fixed-width timestamps sort as strings. */
export function later(a: string, b: string): string {
  if (a > b) return a;
  return b;
}

type Settings = Pick<TenantItem, "telemetryResolutionSeconds" | "policy">;

/**
 * Timestamp in the key of the item that holds this state. It is the start of the state, but at least:
 *
 * - the start of the day, so that retention never deletes the item of the current state;
 * - the last begin or end of working hours, so that the same state is assessed again there.
 *
 * Depends on the heartbeat alone: every worker gets the same result, in any order.
 */
export function stateAt({ at, stateSince }: Moment, { policy }: Settings): string {
  const startOfDay = `${at.slice(0, 10)}T00:00:00.000Z`;
  const since = stateSince > at ? at : stateSince;
  const start = later(since, startOfDay);
  if (policy.workingHours === undefined) return start;
  const boundary = hoursBoundary(at, policy.workingHours);
  return later(boundary, start);
}

/** Start of the asset's resolution interval that contains `at`. With resolution 0, `at` itself. */
export function intervalStart(at: string, phase: number, resolutionSeconds: number): string {
  if (resolutionSeconds === 0) return at;
  const lengthMs = resolutionSeconds * 1000;
  const ms = Date.parse(at);
  return timestamp(ms - ((ms - Math.floor(phase * lengthMs)) % lengthMs));
}

/**
 * Time up to which this heartbeat proves that the asset was seen: the start of its interval or of its state,
 * the later of both. Rounded on purpose, so that two heartbeats of one interval give the same result in any
 * order.
 */
export function seenThrough(moment: Moment, tenant: Settings): string {
  const start = intervalStart(moment.at, phaseOf(moment.assetId), tenant.telemetryResolutionSeconds);
  const state = stateAt(moment, tenant);
  return later(start, state);
}

/**
 * Key time of the sample of this heartbeat. Undefined when the item of its state already covers the interval.
 */
export function sampleAt(moment: Moment, tenant: Settings): string | undefined {
  const resolution = tenant.telemetryResolutionSeconds;
  const start = intervalStart(moment.at, phaseOf(moment.assetId), resolution);
  return start > intervalStart(stateAt(moment, tenant), phaseOf(moment.assetId), resolution)
    ? start
    : undefined;
}

export type TimelinePosition =
  /** The heartbeat has the current state of the asset. */
  | { kind: "same" }
  /** The heartbeat has a new state, and it is the newest. `key` is the time in the key of its item. */
  | { kind: "change"; key: string }
  /**
   * The heartbeat has a state that a newer one has replaced. `resumedAt` is set if it contradicts the newest
   * state in the middle of that state's time: the asset was seen in the newest state again at `resumedAt`,
   * later than `key`.
   */
  | { kind: "late"; key: string; resumedAt?: string };

/**
 * Position of a heartbeat on the timeline of its asset. A `late` key is never after the newest state: it is
 * before `presence.stateAt`, or `resumedAt` becomes the time of the newest state.
 */
export function timelinePositionOf(
  moment: Moment,
  stateHash: string,
  presence: PresenceItem | undefined,
  tenant: Settings,
): TimelinePosition {
  const key = stateAt(moment, tenant);
  if (!presence || key > presence.stateAt) return { kind: "change", key };
  const { at } = moment;
  if (at < presence.stateAt) return { kind: "late", key };
  if (stateHash === presence.stateHash || at === presence.stateAt) return { kind: "same" };
  // The agent dates its state no later than the stored one, but the hash differs. Either the spool crossed a
  // limit, the policy was edited, or the reported `stateSince` is wrong. The reported state counts.
  const isSpoolOnly = withoutSpool(stateHash) === withoutSpool(presence.stateHash);
  // A spool that oscillates around its limit gets at most one item per interval, not one per heartbeat.
  if (isSpoolOnly && !isNewerThan(presence, moment, tenant)) return { kind: "same" };
  if (at >= presence.lastSeenAt) return { kind: "change", key: at };
  // A new policy assesses the asset with its next heartbeat, not with one from before it was last seen.
  if (isSameState(stateHash, presence.stateHash)) return { kind: "same" };
  return { kind: "late", key: at, resumedAt: presence.lastSeenAt };
}

/** True for a heartbeat that proves the asset seen later than presence says. */
export const isNewerThan = (presence: PresenceItem, moment: Moment, tenant: Settings): boolean =>
  moment.at > presence.lastSeenAt && seenThrough(moment, tenant) >= presence.lastSeenAt;

/** Updates that a heartbeat of the current state still causes. */
export function additions(moment: Moment, presence: PresenceItem, tenant: Settings) {
  const seen = seenThrough(moment, tenant);
  const isAhead = seen > presence.lastSeenAt;
  const isFirstOfInterval = seen === presence.lastSeenAt && moment.sequence < presence.sequence;
  const sample = sampleAt(moment, tenant);
  return {
    /** New `lastSeenAt` of presence. Undefined when presence stays. */
    head: isAhead || isFirstOfInterval ? seen : undefined,
    /** Key time of a sample to write. Undefined when the interval of presence has its sample already. */
    sample: seen === presence.lastSeenAt ? undefined : sample,
    /** The heartbeat has this state earlier than the heartbeat that its item was written from. */
    isFirstOfState:
      presence.stateSequence !== undefined &&
      moment.sequence < presence.stateSequence &&
      stateAt(moment, tenant) === presence.stateAt,
  };
}

const ends = new WeakMap<PresenceItem, { resolutionSeconds: number; end: string }>();

/**
 * End of the resolution interval of presence. Cached, because it is needed for every heartbeat of the
 * interval.
 */
function intervalEnd(presence: PresenceItem, resolutionSeconds: number): string {
  const known = ends.get(presence);
  if (known?.resolutionSeconds === resolutionSeconds) return known.end;
  const start = intervalStart(presence.lastSeenAt, phaseOf(presence.assetId), resolutionSeconds);
  const end = timestamp(Date.parse(start) + Math.max(1, resolutionSeconds * 1000));
  ends.set(presence, { resolutionSeconds, end });
  return end;
}

/** Fast path for most heartbeats: true when a heartbeat repeats the state and the interval of presence. */
export function repeats(moment: Moment, presence: PresenceItem, tenant: Settings): boolean {
  const key = stateAt(moment, tenant);
  if (key !== presence.stateAt) return false;
  return (
    moment.at >= presence.lastSeenAt &&
    moment.at < intervalEnd(presence, tenant.telemetryResolutionSeconds) &&
    moment.sequence >= presence.sequence &&
    moment.sequence >= (presence.stateSequence ?? 0)
  );
}
