import type { Clock } from "../../shared/time/clock.ts";

/** One limit as it is told to clients: `quota` at once, refilled evenly over `windowSeconds`. */
export type Quota = { name: string; quota: number; windowSeconds: number };

export type Taken = { allowed: boolean; remaining: number; resetSeconds: number };

export type RateLimit = Quota & {
  /** Takes one of what `key` has left. A refused one costs nothing. */
  take(key: string): Taken;
  /** Undoes one {@link take} that was allowed. */
  giveBack(key: string): void;
};

/** Keys kept at once. Beyond it, those that are full again are forgotten first: forgetting them changes nothing. */
const KEYS_MAX = 250_000;

/**
 * Generic cell rate algorithm (ITU-T I.371): one number per key, the time at which the key is full again.
 * Each node counts for itself, so a client that speaks to three nodes may have up to three times the quota.
 */
export function createRateLimit(quota: Quota, clock: Clock): RateLimit {
  const stepMs = (quota.windowSeconds * 1000) / quota.quota;
  const windowMs = quota.windowSeconds * 1000;
  const fullAt = new Map<string, number>();

  function forgetSome(now: number): void {
    for (const [key, at] of fullAt) if (at <= now) fullAt.delete(key);
    // All of them in use: forget the oldest, which favours a client for a moment and keeps memory bounded.
    if (fullAt.size >= KEYS_MAX) fullAt.delete(fullAt.keys().next().value!);
  }

  return {
    ...quota,
    giveBack(key) {
      const at = fullAt.get(key);
      if (at !== undefined) fullAt.set(key, at - stepMs);
    },
    take(key) {
      const now = clock();
      const at = fullAt.get(key) ?? 0;
      // Full again later than any quota takes: the clock was set back, and would refuse until it is there again.
      const before = at > now + 2 * windowMs ? now : Math.max(at, now);
      const after = before + stepMs;
      const allowed = after - now <= windowMs + 1e-6;
      if (allowed) {
        if (fullAt.size >= KEYS_MAX && !fullAt.has(key)) forgetSome(now);
        fullAt.set(key, after);
      }
      const used = (allowed ? after : before) - now;
      return {
        allowed,
        remaining: Math.max(0, Math.floor((windowMs - used) / stepMs + 1e-6)),
        resetSeconds: Math.ceil((allowed ? used : after - now - windowMs) / 1000),
      };
    },
  };
}

/** draft-ietf-httpapi-ratelimit-headers-10: what is left, and when it is more. */
export const rateLimitHeader = ({ name }: Quota, taken: Taken): string =>
  `"${name}";r=${taken.remaining};t=${taken.resetSeconds}`;

export const rateLimitPolicyHeader = ({ name, quota, windowSeconds }: Quota): string =>
  `"${name}";q=${quota};w=${windowSeconds}`;
