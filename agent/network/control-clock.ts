import type { Clock } from "../../shared/time/clock.ts";
import type { Log } from "../platform/log.ts";

/** Earliest time that a correct clock can show, in epoch milliseconds. The agent did not exist before 2025. */
export const EARLIEST_MS = Date.UTC(2025, 0, 1);
/**
 * Minimum change of the difference between wall clock and monotonic clock, in milliseconds, that shows that
 * the clock was set or the machine slept.
 */
const JUMP_MS_MIN = 2000;
/**
 * Maximum difference in milliseconds between a step of the wall clock and the known offset. If the difference
 * is not larger, the step counts as a correction of the wall clock.
 */
const CORRECTED_MS_MAX = 30_000;
/** Minimum offset in milliseconds that the agent corrects. */
const SKEW_NOTICE_MS = 1000;

/**
 * A marked moment. Calling it returns the time of the moment in epoch milliseconds, including all corrections
 * that are known by then.
 */
export type Moment = () => number;

/** An estimate of the control plane's time: the wall clock of this host plus the known offset. */
export type ControlClock = {
  now: Clock;
  /**
   * Marks the current moment. Store the mark instead of `now()`, because a later correction can still change
   * the time.
   */
  mark: () => Moment;
  /**
   * Corrects the offset. The control plane's time was `controlMs` when the wall clock showed `wallMs`.
   * Returns false if nothing changed.
   */
  learn: (controlMs: number, wallMs: number) => boolean;
};

/**
 * Estimates the time of the control plane on hosts with a wrong clock. Such hosts boot in 1970, get their
 * time from NTP later, or are minutes off for years. A monotonic clock shows steps of the wall clock. A
 * backward step and a response of the control plane always correct marked moments. A forward step corrects
 * them only if the clock was before {@link EARLIEST_MS}, because otherwise the machine may have slept.
 *
 * @param elapsed milliseconds by a monotonic clock
 */
export function createControlClock(deps: { clock: Clock; elapsed: () => number; log: Log }): ControlClock {
  let offsetMs = 0;
  /**
   * Sum of all corrections in milliseconds. A moment that was marked earlier needs all corrections made since
   * then.
   */
  let correctedMs = 0;
  let leadMs = deps.clock() - deps.elapsed();

  function noteSteps(wallMs: number): void {
    const stepMs = wallMs - deps.elapsed() - leadMs;
    leadMs += stepMs;
    if (Math.abs(stepMs) <= JUMP_MS_MIN) return;
    const wasCorrected = offsetMs !== 0 && Math.abs(stepMs - offsetMs) <= CORRECTED_MS_MAX;
    if (wasCorrected) offsetMs = 0;
    else if (stepMs < 0 || wallMs - stepMs < EARLIEST_MS) correctedMs += stepMs;
  }

  function now(): number {
    const wallMs = deps.clock();
    noteSteps(wallMs);
    return wallMs + offsetMs;
  }

  return {
    now,
    mark: () => {
      const [markedMs, before] = [now(), correctedMs];
      return () => {
        noteSteps(deps.clock());
        return markedMs + correctedMs - before;
      };
    },
    learn: (controlMs, wallMs) => {
      noteSteps(deps.clock());
      const nextOffsetMs = controlMs - wallMs;
      if (Math.abs(nextOffsetMs - offsetMs) < SKEW_NOTICE_MS) return false;
      correctedMs += nextOffsetMs - offsetMs;
      offsetMs = nextOffsetMs;
      deps.log("warn", "clock.skewed", { skewSeconds: Math.round(nextOffsetMs / 1000) });
      return true;
    },
  };
}
