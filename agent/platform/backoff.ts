import { backoffCeilingMs } from "../../shared/time/backoff.ts";

const FIRST_MS = 1000;
const BACKOFF_MS_MAX = 60_000;

/**
 * Pause in milliseconds before the retry that follows `failures` failures. The pause doubles from 1 s to 60
 * s. The upper half of the pause is random, so that the hosts of a fleet do not all reconnect at the same
 * moment. `retryAfterMs` (`Retry-After`) is the minimum pause, to which up to 20 % is added at random.
 */
export function backoffMs(failures: number, random: () => number, retryAfterMs = 0): number {
  const ceiling = backoffCeilingMs(failures - 1, FIRST_MS, BACKOFF_MS_MAX);
  const own = ceiling / 2 + (ceiling / 2) * random();
  return Math.round(Math.max(own, retryAfterMs * (1 + 0.2 * random())));
}
