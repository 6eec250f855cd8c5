import { createHash } from "node:crypto";
import type { z } from "zod";
import { timestamp } from "../../shared/time/clock.ts";
import {
  type Collector,
  type ContainmentReport,
  engine,
  type Heartbeat,
  LIMITS,
  store,
} from "../../shared/wire/heartbeat.ts";
import { type HostState, stateText } from "../../shared/wire/state.ts";
import type { ControlClock, Moment } from "../network/control-clock.ts";
import { createMemo } from "../scan/system/memo.ts";

/** Hash of a state. Two states have the same hash if they are equal by the rules in shared/wire/state.ts. */
export const fingerprint = (state: HostState): string =>
  createHash("sha256").update(stateText(state)).digest("base64url");

export type Composer = {
  /** Whether the state equals the state of the last composed heartbeat. */
  isUnchanged: (state: HostState) => boolean;
  /** Composes the next heartbeat, with its sequence number and times, within the limits of the wire format. */
  compose: (state: HostState, spool: Heartbeat["spool"]) => Heartbeat;
};

/**
 * Composes heartbeats, and remembers when the state last changed. A restart counts as a change, because the
 * agent may have missed a change.
 */
export function createComposer(deps: {
  clock: Pick<ControlClock, "now" | "mark">;
  nextSequence: () => number;
}): Composer {
  let last: { fingerprint: string; since: Moment } | undefined;
  const printed = createMemo<string>();
  return {
    isUnchanged: (state) => last?.fingerprint === fingerprintOf(state),
    compose: (state, spool) => {
      // Read the clock once, so that stateSince equals sentAt in the first heartbeat of a state.
      const sent = deps.clock.mark();
      const sentAtMs = sent();
      const print = fingerprintOf(state);
      if (last?.fingerprint !== print) last = { fingerprint: print, since: sent };
      // The value is never later than sentAt, even if the clock was set back.
      const sinceMs = Math.min(last.since(), sentAtMs);
      return cutToFit({
        v: 1,
        sequence: deps.nextSequence(),
        sentAt: timestamp(sentAtMs),
        stateSince: timestamp(sinceMs),
        ...state,
        spool,
      });
    },
  };

  /** Memoised, because hashing engines and stores is expensive. A scan without changes returns the same list objects. */
  function fingerprintOf(state: HostState): string {
    const { engines, stores, ...others } = state;
    return printed([engines, stores, stateText({ ...others, engines: [] })], () => fingerprint(state));
  }
}

/**
 * List limits, tried in order until the body fits. Less important entries are removed first, and whole
 * engines last.
 */
const CUTS: readonly { clients: number; evidence: number; models: number; engines: number }[] = [
  { clients: 8, evidence: 8, models: 16, engines: LIMITS.ENGINES_MAX },
  { clients: 2, evidence: 4, models: 4, engines: LIMITS.ENGINES_MAX },
  { clients: 0, evidence: 2, models: 1, engines: LIMITS.ENGINES_MAX },
  { clients: 0, evidence: 2, models: 1, engines: 16 },
];

/** Shortens a heartbeat to the maximum body size that the edge accepts. A collector then says what was removed. */
export function cutToFit(beat: Heartbeat): Heartbeat {
  if (bytesOf(beat) <= LIMITS.BODY_BYTES_MAX) return beat;
  let cut = beat;
  for (const limit of CUTS) {
    cut = {
      ...beat,
      engines: beat.engines.slice(0, limit.engines).map((engine) => ({
        ...engine,
        clients: engine.clients.slice(0, limit.clients),
        evidence: engine.evidence.slice(0, limit.evidence),
        models: engine.models.slice(0, limit.models),
      })),
      ...(beat.stores && {
        stores: beat.stores.map((store) => ({ ...store, models: store.models.slice(0, limit.models) })),
      }),
      collectors: withCollector(beat.collectors, {
        name: "heartbeat",
        status: "partial",
        detail: `shortened to fit: ${Math.min(limit.engines, beat.engines.length)} of ${beat.engines.length} engines, up to ${limit.models} models and ${limit.clients} clients each`,
      }),
    };
    if (bytesOf(cut) <= LIMITS.BODY_BYTES_MAX) break;
  }
  return cut;
}

const bytesOf = (beat: Heartbeat): number => Buffer.byteLength(JSON.stringify(beat));

/** Adds a collector. If the list is full, the new collector replaces the last one. */
export function withCollector(collectors: readonly Collector[], added: Collector): Collector[] {
  return [...collectors.slice(0, LIMITS.COLLECTORS_MAX - 1), added];
}

/**
 * Objects that already passed the schema. They are never mutated, and a scan without changes returns the same
 * objects.
 */
const valid = new WeakSet<object>();

/**
 * Returns at most `max` items that pass the schema. Also returns the path of the first fault in each rejected
 * item.
 */
function fittingOf<T extends object>(
  items: readonly T[],
  { element, max }: { element: z.ZodType; max: number },
): { fitting: T[]; faults: string[] } {
  const faults: string[] = [];
  const fitting = items.slice(0, max).filter((item) => {
    if (valid.has(item)) return true;
    const parsed = element.safeParse(item);
    if (parsed.success) valid.add(item);
    else faults.push(parsed.error.issues[0]?.path.join(".") ?? "the whole item");
    return parsed.success;
  });
  return { fitting, faults };
}

const ENGINES = { element: engine, max: LIMITS.ENGINES_MAX };
const STORES = { element: store, max: LIMITS.STORES_MAX };

/**
 * Removes engines and stores that the edge would reject, so that one invalid entry does not block the
 * heartbeats of the host. A collector says how many were removed and why.
 */
export function keepValid(state: HostState): HostState {
  const engines = fittingOf(state.engines, ENGINES);
  const stores = fittingOf(state.stores ?? [], STORES);
  const faults = [...engines.faults, ...stores.faults];
  const given = state.engines.length + (state.stores?.length ?? 0);
  const missing = given - engines.fitting.length - stores.fitting.length;
  if (missing === 0) return state;
  const beyond = missing - faults.length;
  const detail = `left out: ${faults.length} invalid (${faults.slice(0, 3).join(", ")}), ${beyond} beyond the limit`;
  return {
    ...state,
    engines: engines.fitting,
    ...(state.stores && { stores: stores.fitting }),
    collectors: withCollector(state.collectors, {
      name: "heartbeat",
      status: "partial",
      detail: detail.slice(0, 240),
    }),
  };
}

/** The report before the first directive. `at` is the time from which the agent was able to carry out a directive. */
export const uncontained = (at: string): ContainmentReport => ({
  generation: 0,
  action: "none",
  mode: "observe",
  outcome: "none",
  at,
});
