import { hoursBoundary } from "../../shared/policy/hours.ts";
import type { PresenceItem } from "../../shared/table/items/asset/presence.ts";
import type { TenantItem } from "../../shared/table/items/tenant.ts";
import { shardOf } from "../../shared/table/keys.ts";
import { timestamp } from "../../shared/time/clock.ts";
import { isSameState, withoutSpool } from "./state-hash.ts";

/** What of a heartbeat decides where in the asset's history it belongs; readable without parsing its engines. */
export type Moment = {
  /** `sentAt`, or `receivedAt` when the agent's clock cannot be right: see plausible-dates.ts. */
  at: string;
  receivedAt: string;
  /** As the agent says it, or the start of the day when its clock cannot be right. */
  stateSince: string;
  sequence: number;
  assetId: string;
};

/**
 * Where in a resolution interval an asset's own begins, from 0 up to 1: a hash of its id, so that a fleet does not
 * write all its samples in the same second. The same on every worker.
 */
export const phaseOf = (assetId: string): number => shardOf(assetId, 2 ** 32) / 2 ** 32;

/** Fixed-width timestamps sort as strings. */
export function later(a: string, b: string): string {
  if (a > b) return a;
  return b;
}

type Settings = Pick<TenantItem, "telemetryResolutionSeconds" | "policy">;

/**
 * Timestamp in the key of the item that holds this state: the first heartbeat that had it, but at least one a day,
 * so that retention never takes away the state an asset is in, and one when working hours begin or end, so that
 * the same state is judged anew. A function of the heartbeat alone: any worker, in any order, gives the same.
 */
export function stateAt({ at, stateSince }: Moment, { policy }: Settings): string {
  const startOfDay = `${at.slice(0, 10)}T00:00:00.000Z`;
  const since = stateSince > at ? at : stateSince;
  const told = later(since, startOfDay);
  if (policy.workingHours === undefined) return told;
  const boundary = hoursBoundary(at, policy.workingHours);
  return later(boundary, told);
}

/** Start of the asset's resolution interval a time lies in; with resolution 0 the time itself. */
export function intervalStart(at: string, phase: number, resolutionSeconds: number): string {
  if (resolutionSeconds === 0) return at;
  const lengthMs = resolutionSeconds * 1000;
  const ms = Date.parse(at);
  return timestamp(ms - ((ms - Math.floor(phase * lengthMs)) % lengthMs));
}

/**
 * Up to when this heartbeat proves the asset seen, as it is kept: the time of its state, or the start of the
 * interval it was sent in. Coarse on purpose: two heartbeats of one interval say the same, whichever comes first.
 */
export function seenThrough(moment: Moment, tenant: Settings): string {
  const start = intervalStart(moment.at, phaseOf(moment.assetId), tenant.telemetryResolutionSeconds);
  const state = stateAt(moment, tenant);
  return later(start, state);
}

/** Key time of the sample this heartbeat stands for; undefined when its state's own item tells of that interval. */
export function sampleAt(moment: Moment, tenant: Settings): string | undefined {
  const resolution = tenant.telemetryResolutionSeconds;
  const start = intervalStart(moment.at, phaseOf(moment.assetId), resolution);
  return start > intervalStart(stateAt(moment, tenant), phaseOf(moment.assetId), resolution)
    ? start
    : undefined;
}

export type Place =
  /** Of the state the asset is in. */
  | { kind: "same" }
  /** The asset's newest state, not known before; `key` is the time in its item's key. */
  | { kind: "change"; key: string }
  /**
   * Of a state that a newer one has replaced. `resumedAt`: the heartbeat contradicts the newest state in the middle of
   * its time, and the asset was seen in that state again at `resumedAt`, later than `key`.
   */
  | { kind: "late"; key: string; resumedAt?: string };

/**
 * Where a heartbeat belongs in the history of its asset. A `late` key is never after the newest state: either it is
 * before `presence.stateAt`, or `resumedAt` becomes the time of the newest state.
 */
export function placeOf(
  moment: Moment,
  stateHash: string,
  presence: PresenceItem | undefined,
  tenant: Settings,
): Place {
  const key = stateAt(moment, tenant);
  if (!presence || key > presence.stateAt) return { kind: "change", key };
  const { at } = moment;
  if (at < presence.stateAt) return { kind: "late", key };
  if (stateHash === presence.stateHash || at === presence.stateAt) return { kind: "same" };
  // The agent dates its state no later than the stored one, yet the hash differs: the spool has crossed a bound, the
  // policy was edited, or the agent shows something else than it says. Believe what it shows.
  const isSpoolOnly = withoutSpool(stateHash) === withoutSpool(presence.stateHash);
  // A spool that moves around its bound gets at most one item per interval, not one per heartbeat.
  if (isSpoolOnly && !isNewerThan(presence, moment, tenant)) return { kind: "same" };
  if (at >= presence.lastSeenAt) return { kind: "change", key: at };
  // Another policy assesses the asset with its next heartbeat, not with one from before it was last seen.
  if (isSameState(stateHash, presence.stateHash)) return { kind: "same" };
  return { kind: "late", key: at, resumedAt: presence.lastSeenAt };
}

/** True for a heartbeat that proves the asset seen beyond what presence says. */
export const isNewerThan = (presence: PresenceItem, moment: Moment, tenant: Settings): boolean =>
  moment.at > presence.lastSeenAt && seenThrough(moment, tenant) >= presence.lastSeenAt;

/** What a heartbeat of the present state still adds. */
export function additions(moment: Moment, presence: PresenceItem, tenant: Settings) {
  const seen = seenThrough(moment, tenant);
  const isAhead = seen > presence.lastSeenAt;
  const isFirstOfInterval = seen === presence.lastSeenAt && moment.sequence < presence.sequence;
  const sample = sampleAt(moment, tenant);
  return {
    /** It is the heartbeat that presence should be of. */
    head: isAhead || isFirstOfInterval ? seen : undefined,
    /** The interval of presence has its sample already. */
    sample: seen === presence.lastSeenAt ? undefined : sample,
    /** It has this state earlier than the heartbeat its item was written from. */
    isFirstOfState:
      presence.stateSequence !== undefined &&
      moment.sequence < presence.stateSequence &&
      stateAt(moment, tenant) === presence.stateAt,
  };
}

const ends = new WeakMap<PresenceItem, { resolutionSeconds: number; end: string }>();

/** Where the interval ends that presence is of: worked out once, and asked with every heartbeat until then. */
function intervalEnd(presence: PresenceItem, resolutionSeconds: number): string {
  const known = ends.get(presence);
  if (known?.resolutionSeconds === resolutionSeconds) return known.end;
  const start = intervalStart(presence.lastSeenAt, phaseOf(presence.assetId), resolutionSeconds);
  const end = timestamp(Date.parse(start) + Math.max(1, resolutionSeconds * 1000));
  ends.set(presence, { resolutionSeconds, end });
  return end;
}

/** The short way for what nearly all heartbeats are: one more of the state and the interval presence is of. */
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
