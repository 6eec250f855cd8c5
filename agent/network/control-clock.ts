import type { Clock } from "../../shared/time/clock.ts";
import type { Log } from "../platform/log.ts";

/** No correct clock reads an earlier time: this program did not exist before 2025. */
export const EARLIEST_MS = Date.UTC(2025, 0, 1);
/** If the wall clock moves by more than this against the monotonic clock, it was set or the machine slept. */
const JUMP_MS_MIN = 2000;
/** If a step differs from the known offset by no more than this, the wall clock was corrected. */
const CORRECTED_MS_MAX = 30_000;
/** Smaller offsets are not corrected. */
const SKEW_NOTICE_MS = 1000;

/** A marked moment. The call returns its time in epoch milliseconds, with all corrections that are known by then. */
export type Moment = () => number;

/** An estimate of the control plane's time: the wall clock of this host plus the known offset. */
export type ControlClock = {
  now: Clock;
  /** Marks this moment. Store the mark instead of `now()`, because a later correction can still change it. */
  mark: () => Moment;
  /** Corrects the offset: the control plane's time was `controlMs` when the wall clock read `wallMs`. False if nothing changed. */
  learn: (controlMs: number, wallMs: number) => boolean;
};

/**
 * Copes with hosts that boot in 1970, get their time from NTP later, or are minutes off for years. A monotonic clock shows
 * steps of the wall clock. A step backward and a response of the control plane always correct marked moments. A step forward
 * does so only if the clock was before {@link EARLIEST_MS}, because otherwise the machine may have slept.
 *
 * @param elapsed milliseconds by a monotonic clock
 */
export function createControlClock(deps: { clock: Clock; elapsed: () => number; log: Log }): ControlClock {
  let offsetMs = 0;
  /** Sum of all corrections so far. A moment that was marked before them is dated too early by as much. */
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
