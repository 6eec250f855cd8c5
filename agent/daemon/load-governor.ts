import type { Collector } from "../../shared/wire/heartbeat.ts";

/** Of one core. Ten times what a scan should cost: beyond it something about this host is odd. */
export const CPU_SHARE_MAX = 0.05;
/** Runnable processes per core over the last minute (getloadavg(3)); Windows has no such number and tells 0. */
export const LOAD_PER_CORE_MAX = 4;
/** Share of the interval that a scan may take from start to end. */
export const DURATION_SHARE_MAX = 0.5;
/** Orders arrive with the answer to a heartbeat: they may not wait longer than this on account of the watchdog. */
export const SLOWED_MS_MAX = 60_000;
/** So many bad scans in a row slow down, so many good ones speed up: one spike changes nothing. */
const BAD_MAX = 2;
const GOOD_MIN = 3;
const FACTOR_MAX = 16;
/** What others do to the host is little reason to look away from it: whoever made load could blind the agent. */
const FACTOR_MAX_FOR_LOAD = 2;
/** A scan shorter than this is short at any interval. */
const DURATION_MS_MIN = 1000;

export type WatchdogDeps = {
  /** Processor time this process has used, milliseconds. */
  cpuMs: () => number;
  /** Milliseconds of a clock that never goes back. */
  elapsed: () => number;
  loadPerCore: () => number;
  /** What the tenant set. */
  intervalMs: () => number;
};

export type Watchdog = {
  /** To be called after each scan. */
  note: (scan: { durationMs: number }) => void;
  /** The interval to keep: the tenant's, or longer under pressure. */
  intervalMs: () => number;
  /** Why it is longer; undefined while it is not. */
  collector: () => Collector | undefined;
};

type Pressure = { reason: string; factorMax: number };

/**
 * Keeps the agent from making a host slow. When it uses more of a core than it should, when a scan takes too much of
 * the interval, or when the host is overloaded by whatever else, the interval is doubled; when all is well again,
 * and would be at the shorter interval too, it is halved.
 */
export function createWatchdog(deps: WatchdogDeps): Watchdog {
  let factor = 1;
  let bad = 0;
  let good = 0;
  let reason = "";
  let last: { cpuMs: number; atMs: number } | undefined;

  /** `ease` 2 asks whether it would still be well at half the interval. */
  function pressure(scan: { durationMs: number }, share: number, ease: number): Pressure | undefined {
    if (share * ease > CPU_SHARE_MAX)
      return { reason: `the agent used ${percent(share)} of a core`, factorMax: FACTOR_MAX };
    if (scan.durationMs * ease > Math.max(slowed() * DURATION_SHARE_MAX, DURATION_MS_MIN))
      return { reason: `a scan took ${Math.round(scan.durationMs)} ms`, factorMax: FACTOR_MAX };
    const load = deps.loadPerCore();
    if (!(load > LOAD_PER_CORE_MAX)) return undefined;
    const words = `${load.toFixed(1)} processes per core are waiting to run`;
    return { reason: words, factorMax: FACTOR_MAX_FOR_LOAD };
  }

  function slowed(): number {
    const wanted = deps.intervalMs();
    return Math.max(wanted, Math.min(wanted * factor, SLOWED_MS_MAX));
  }

  return {
    note: (scan) => {
      const now = { cpuMs: deps.cpuMs(), atMs: deps.elapsed() };
      const before = last;
      last = now;
      // The first scan reads everything and says nothing about the ones to come.
      if (!before || now.atMs <= before.atMs) return;
      const share = (now.cpuMs - before.cpuMs) / (now.atMs - before.atMs);
      const why = pressure(scan, share, 1);
      bad = why === undefined ? 0 : bad + 1;
      good = factor > 1 && pressure(scan, share, 2) === undefined ? good + 1 : 0;
      if (why !== undefined && bad >= BAD_MAX) {
        reason = why.reason;
        bad = 0;
        if (factor < why.factorMax && deps.intervalMs() * factor < SLOWED_MS_MAX) factor *= 2;
      } else if (good >= GOOD_MIN) {
        good = 0;
        factor /= 2;
      }
    },
    intervalMs: slowed,
    collector: () => {
      const [is, wanted] = [slowed(), deps.intervalMs()];
      if (is === wanted) return undefined;
      const detail = `one scan in ${seconds(is)} instead of ${seconds(wanted)}: ${reason}`;
      return { name: "watchdog", status: "partial", detail };
    },
  };
}

const percent = (share: number): string => `${(share * 100).toFixed(1)} %`;
const seconds = (ms: number): string => `${Math.round(ms / 100) / 10} s`;
