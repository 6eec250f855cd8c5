import type { Clock } from "../../shared/time/clock.ts";

export type Watchdog = {
  /** Notes progress: a receive ended, or some of its messages are settled. */
  onProgress: () => void;
  silentSeconds: () => number;
  /** No progress for so long that only a restart helps. */
  isStalled: () => boolean;
  /** No progress for less than half of that time. */
  isWell: () => boolean;
};

/**
 * Watchdog of the receive loop: detects a worker that hangs without an error.
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
