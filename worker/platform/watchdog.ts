import type { Clock } from "../../shared/time/clock.ts";

export type Watchdog = {
  /** Notes progress. Call it when a receive has ended, and when some of its messages are settled. */
  onProgress: () => void;
  silentSeconds: () => number;
  /** True if there was no progress for so long that only a restart helps. */
  isStalled: () => boolean;
  /** True if there was progress within half of `stallSeconds`. */
  isWell: () => boolean;
};

/**
 * Creates the watchdog of the receive loop. It detects a worker that hangs without an error.
 *
 * @param clock monotonic milliseconds, from any origin
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
