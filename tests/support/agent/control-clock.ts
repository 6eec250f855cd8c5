import { type ControlClock, createControlClock } from "../../../agent/network/control-clock.ts";

/** The agent's clock over a wall clock that a test turns. Time passes for it only by that one unless told otherwise. */
export const controlClock = (clock: () => number, elapsed: () => number = clock): ControlClock =>
  createControlClock({ clock, elapsed, log: () => {} });
