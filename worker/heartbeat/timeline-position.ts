import { hoursBoundary } from "../../shared/policy/hours.ts";
import type { PresenceItem } from "../../shared/table/items/asset/presence.ts";
import type { TenantItem } from "../../shared/table/items/tenant.ts";
import { shardOf } from "../../shared/table/keys.ts";
import { timestamp } from "../../shared/time/clock.ts";
import { isSameState, withoutSpool } from "./state-hash.ts";

/**
 * Fields of a heartbeat that determine its position on the timeline of its asset. They are available without
 * parsing.
 */
export type Moment = {
  /** The time from `sentAt`, or `receivedAt` if the clock of the host is wrong (see plausible-dates.ts). */
  at: string;
  receivedAt: string;
  /** Start of the state as reported by the agent, or the start of the day if the clock of the host is wrong. */
  stateSince: string;
  sequence: number;
  assetId: string;
};

/**
 * Offset of an asset's resolution intervals, as a fraction of the interval (0 to 1, exclusive). It is a hash
 * of the asset id. A fleet therefore does not write all its samples in the same second, and every worker gets
 * the same value.
 */
export const phaseOf = (assetId: string): number => shardOf(assetId, 2 ** 32) / 2 ** 32;

/** Returns the later of two timestamps. Fixed-width timestamps sort as strings. */
export function later(a: string, b: string): string {
  if (a > b) return a;
  return b;
}

type Settings = Pick<TenantItem, "telemetryResolutionSeconds" | "policy">;

/**
 * Timestamp in the key of the item that holds this state. It is the latest of these times:
 *
 * - the start of the state;
 * - the start of the day, so that retention never deletes the item of the current state;
 * - the last begin or end of working hours, so that the same state is assessed again at that time.
 *
 * The timestamp depends on the heartbeat alone, so every worker gets the same result, in any order.
 */
export function stateAt({ at, stateSince }: Moment, { policy }: Settings): string {
  const startOfDay = `${at.slice(0, 10)}T00:00:00.000Z`;
  const since = stateSince > at ? at : stateSince;
  const start = later(since, startOfDay);
  if (policy.workingHours === undefined) return start;
  const boundary = hoursBoundary(at, policy.workingHours);
  return later(boundary, start);
}

/** Start of the asset's resolution interval that contains `at`. If the resolution is 0, `at` itself. */
export function intervalStart(at: string, phase: number, resolutionSeconds: number): string {
  if (resolutionSeconds === 0) return at;
  const lengthMs = resolutionSeconds * 1000;
  const ms = Date.parse(at);
  return timestamp(ms - ((ms - Math.floor(phase * lengthMs)) % lengthMs));
}

/**
 * Time up to which this heartbeat proves that the asset was seen. It is the start of the heartbeat's interval
 * or the start of its state: the later of these times. It is rounded on purpose, so that two heartbeats of
 * one interval give the same result in any order.
 */
export function seenThrough(moment: Moment, tenant: Settings): string {
  const start = intervalStart(moment.at, phaseOf(moment.assetId), tenant.telemetryResolutionSeconds);
  const state = stateAt(moment, tenant);
  return later(start, state);
}

/** Key time of the sample of this heartbeat. Undefined if the item of its state already covers the interval. */
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
  /** The heartbeat has a new state, which is the newest. `key` is the time in the key of the state's item. */
  | { kind: "change"; key: string }
  /**
   * The heartbeat has a state that a newer one has replaced.
   *
   * `resumedAt` is present if the heartbeat contradicts the newest state in the middle of that state's time.
   * The asset was seen in the newest state again at `resumedAt`, which is later than `key`.
   */
  | { kind: "late"; key: string; resumedAt?: string };

/**
 * Position of a heartbeat on the timeline of its asset. The key of a `late` position is never after the
 * newest state. It is before `presence.stateAt`, or `resumedAt` becomes the time of the newest state.
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
  // The hashes differ, although the agent does not report a later start than that of the stored state. Either
  // the spool crossed a limit, the policy was edited, or the reported `stateSince` is wrong. In each case the
  // reported state counts.
  const isSpoolOnly = withoutSpool(stateHash) === withoutSpool(presence.stateHash);
  // If a spool oscillates around its limit, write at most one item per interval instead of one per heartbeat.
  if (isSpoolOnly && !isNewerThan(presence, moment, tenant)) return { kind: "same" };
  if (at >= presence.lastSeenAt) return { kind: "change", key: at };
  // A new policy takes effect with the asset's next heartbeat. A heartbeat from before `lastSeenAt` does not
  // apply it.
  if (isSameState(stateHash, presence.stateHash)) return { kind: "same" };
  return { kind: "late", key: at, resumedAt: presence.lastSeenAt };
}

/** True if the heartbeat proves that the asset was seen later than presence says. */
export const isNewerThan = (presence: PresenceItem, moment: Moment, tenant: Settings): boolean =>
  moment.at > presence.lastSeenAt && seenThrough(moment, tenant) >= presence.lastSeenAt;

/** Updates that are still needed for a heartbeat of the current state. */
export function additions(moment: Moment, presence: PresenceItem, tenant: Settings) {
  const seen = seenThrough(moment, tenant);
  const isAhead = seen > presence.lastSeenAt;
  const isFirstOfInterval = seen === presence.lastSeenAt && moment.sequence < presence.sequence;
  const sample = sampleAt(moment, tenant);
  return {
    /** New `lastSeenAt` of presence. Undefined if presence does not change. */
    head: isAhead || isFirstOfInterval ? seen : undefined,
    /** Key time of a sample to write. Undefined if the interval of presence already has its sample. */
    sample: seen === presence.lastSeenAt ? undefined : sample,
    /** True if this heartbeat showed the state earlier than the heartbeat from which the state's item was written. */
    isFirstOfState:
      presence.stateSequence !== undefined &&
      moment.sequence < presence.stateSequence &&
      stateAt(moment, tenant) === presence.stateAt,
  };
}

const ends = new WeakMap<PresenceItem, { resolutionSeconds: number; end: string }>();

/**
 * End of the resolution interval that contains the `lastSeenAt` of presence. It is cached, because every
 * heartbeat of the interval needs it.
 */
function intervalEnd(presence: PresenceItem, resolutionSeconds: number): string {
  const known = ends.get(presence);
  if (known?.resolutionSeconds === resolutionSeconds) return known.end;
  const start = intervalStart(presence.lastSeenAt, phaseOf(presence.assetId), resolutionSeconds);
  const end = timestamp(Date.parse(start) + Math.max(1, resolutionSeconds * 1000));
  ends.set(presence, { resolutionSeconds, end });
  return end;
}

/**
 * Fast path for most heartbeats: true if a heartbeat repeats the state of presence within the resolution
 * interval of presence.
 */
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
