import type { Clock } from "../../shared/time/clock.ts";
import type { Log } from "../platform/log.ts";

/** A clock that is right never reads earlier: before the first version of this program. */
export const EARLIEST_MS = Date.UTC(2025, 0, 1);
/** The wall clock moved against the monotonic one by more than this: it was set, or the machine slept. */
const JUMP_MS_MIN = 2000;
/** A step that comes this close to the known difference is the wall clock being set right. */
const SET_RIGHT_MS_MAX = 30_000;
/** A difference below this is not worth correcting. */
const SKEW_NOTICE_MS = 1000;

/** A moment that was marked, in epoch milliseconds: asked later, it is dated by what is known by then. */
export type Moment = () => number;

/** The time of the control plane as far as it is known: the host's wall clock and its known difference. */
export type ControlClock = {
  now: Clock;
  /** Marks this moment. Keep this instead of `now()` where a time is kept: the clock may be found wrong later. */
  mark: () => Moment;
  /** Takes the control plane's time as it was when the wall clock read `wallMs`. False when nothing changed. */
  learn: (controlMs: number, wallMs: number) => boolean;
};

/**
 * Hosts boot with a wall clock of 1970, are set right by NTP, and are minutes off for years. A step of the wall clock
 * shows against a monotonic clock. A step forward may also be a machine that slept, so it corrects marked moments only
 * if the clock was impossibly early before; steps backward and the control plane's answers always do.
 *
 * @param elapsed milliseconds by a monotonic clock
 */
export function createControlClock(deps: { clock: Clock; elapsed: () => number; log: Log }): ControlClock {
  let offsetMs = 0;
  /** Sum of all corrections so far, by which a moment marked before them was dated too early. */
  let correctedMs = 0;
  let leadMs = deps.clock() - deps.elapsed();

  function noteSteps(wallMs: number): void {
    const stepMs = wallMs - deps.elapsed() - leadMs;
    leadMs += stepMs;
    if (Math.abs(stepMs) <= JUMP_MS_MIN) return;
    const wasSetRight = offsetMs !== 0 && Math.abs(stepMs - offsetMs) <= SET_RIGHT_MS_MAX;
    if (wasSetRight) offsetMs = 0;
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
      const learntMs = controlMs - wallMs;
      if (Math.abs(learntMs - offsetMs) < SKEW_NOTICE_MS) return false;
      correctedMs += learntMs - offsetMs;
      offsetMs = learntMs;
      deps.log("warn", "clock.skewed", { skewSeconds: Math.round(learntMs / 1000) });
      return true;
    },
  };
}
