import { type ControlClock, createControlClock } from "../../../agent/network/control-clock.ts";

/**
 * The agent's clock, based on a wall clock that the test controls. Monotonic time equals the wall clock
 * unless `elapsed` is given.
 */
export const controlClock = (clock: () => number, elapsed: () => number = clock): ControlClock =>
  createControlClock({ clock, elapsed, log: () => {} });
