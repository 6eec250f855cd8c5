import type { Collector } from "../../shared/wire/heartbeat.ts";

/** Maximum share of one core that the agent may use. It is ten times the expected cost of its scans. */
export const CPU_SHARE_MAX = 0.05;
/** Maximum load average per core over the last minute (getloadavg(3)). The load is always 0 on Windows. */
export const LOAD_PER_CORE_MAX = 4;
/** Maximum share of the interval that a scan may take. */
const DURATION_SHARE_MAX = 0.5;
/**
 * Maximum interval in milliseconds that the watchdog sets. Directives can arrive with heartbeat responses, so
 * a directive waits at most this long.
 */
export const SLOWED_MS_MAX = 60_000;
/**
 * Number of consecutive scans under pressure after which the interval is lengthened. A single spike changes
 * nothing.
 */
const BAD_MAX = 2;
/** Number of consecutive scans without pressure after which the interval is shortened. */
const GOOD_MIN = 3;
const FACTOR_MAX = 16;
/**
 * Maximum factor if other programs cause the load. It is small, because otherwise an attacker could blind the
 * agent by creating load.
 */
const FACTOR_MAX_FOR_LOAD = 2;
/** Duration in milliseconds below which a scan never counts as pressure. */
const DURATION_MS_MIN = 1000;

export type WatchdogDeps = {
  /** CPU time of this process in milliseconds. */
  cpuMs: () => number;
  /** Current time in milliseconds, by a monotonic clock. */
  elapsed: () => number;
  loadPerCore: () => number;
  /** The tenant's interval in milliseconds. */
  intervalMs: () => number;
};

export type Watchdog = {
  /** Call after each scan. */
  note: (scan: { durationMs: number }) => void;
  /** The interval to use in milliseconds: the tenant's interval, or a longer one under pressure. */
  intervalMs: () => number;
  /** Says why the interval is longer than the tenant's interval. Undefined if it is not longer. */
  collector: () => Collector | undefined;
};

type Pressure = { reason: string; factorMax: number };

/**
 * Prevents the agent from slowing down a host. The interval doubles if the agent uses too much CPU time, if a
 * scan takes too much of the interval, or if other programs overload the host. The interval halves if the
 * host is under no pressure and would not be at half the interval either.
 */
export function createWatchdog(deps: WatchdogDeps): Watchdog {
  let factor = 1;
  let bad = 0;
  let good = 0;
  let reason = "";
  let last: { cpuMs: number; atMs: number } | undefined;

  /**
   * Returns the pressure on this host. Undefined without pressure.
   *
   * @param ease 1 for the current interval, 2 to assume half the interval
   */
  function pressure(scan: { durationMs: number }, share: number, ease: number): Pressure | undefined {
    if (share * ease > CPU_SHARE_MAX)
      return { reason: `the agent used ${percent(share)} of a CPU core`, factorMax: FACTOR_MAX };
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
      // The first scan fills the caches, so its cost does not predict later scans.
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
      const detail = `one scan every ${seconds(is)} instead of every ${seconds(wanted)}: ${reason}`;
      return { name: "watchdog", status: "partial", detail };
    },
  };
}

const percent = (share: number): string => `${(share * 100).toFixed(1)} %`;
const seconds = (ms: number): string => `${Math.round(ms / 100) / 10} s`;
