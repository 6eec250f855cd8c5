const FIRST_MS = 1000;
const BACKOFF_MS_MAX = 60_000;

/**
 * Pause before try number `failures + 1`: doubles from 1 s to 60 s, the upper half of it random, so that a fleet
 * that lost its edge at one moment does not come back at one moment. `Retry-After` is a floor, spread by 20 %.
 */
export function backoffMs(failures: number, random: () => number, retryAfterMs = 0): number {
  const ceiling = Math.min(BACKOFF_MS_MAX, FIRST_MS * 2 ** Math.min(failures - 1, 16));
  const own = ceiling / 2 + (ceiling / 2) * random();
  return Math.round(Math.max(own, retryAfterMs * (1 + 0.2 * random())));
}
