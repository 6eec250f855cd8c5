import type { Clock } from "../../shared/time/clock.ts";

export type Watchdog = {
  /** A receive came to an end, with messages or without, or more of what it brought is done: the worker lives. */
  onProgress: () => void;
  silentSeconds: () => number;
  /** Silent for so long that only a new start helps. */
  isStalled: () => boolean;
  /** Not silent for even half of that. */
  isWell: () => boolean;
};

/**
 * A receiver that hangs without an error is the classic way for a worker to be up and dead: this one sees it.
 * `clock` in milliseconds, from any beginning.
 */
export function createWatchdog(clock: Clock, stallSeconds: number): Watchdog {
  let lastProgressMs = clock();
  const silentSeconds = () => (clock() - lastProgressMs) / 1000;
  return {
    onProgress: () => {
      lastProgressMs = clock();
    },
    silentSeconds,
    isStalled: () => silentSeconds() >= stallSeconds,
    isWell: () => silentSeconds() < stallSeconds / 2,
  };
}
