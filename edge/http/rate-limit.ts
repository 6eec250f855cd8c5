import { evictOldest } from "../../shared/evict-oldest.ts";
import type { Clock } from "../../shared/time/clock.ts";

/** A rate limit. It allows bursts of up to `quota` requests, and refills the quota evenly over `windowSeconds`. */
export type Quota = { name: string; quota: number; windowSeconds: number };

export type Taken = { allowed: boolean; remaining: number; resetSeconds: number };

export type RateLimit = Quota & {
  /** Counts one request with this key. A refused request is not counted. */
  take(key: string): Taken;
  /** Reverts one allowed call of {@link take}. */
  giveBack(key: string): void;
};

/**
 * Maximum number of keys in memory. Above this number, keys with a full quota are removed first, which does
 * not affect their clients.
 */
const KEYS_MAX = 250_000;

/**
 * Rate limit with the generic cell rate algorithm (ITU-T I.371). Stores one number per key: the time at which
 * the key's quota is full again. Nodes do not share counts, so a client that uses three nodes has up to three
 * times the quota.
 */
export function createRateLimit(quota: Quota, clock: Clock): RateLimit {
  const stepMs = (quota.windowSeconds * 1000) / quota.quota;
  const windowMs = quota.windowSeconds * 1000;
  const fullAt = new Map<string, number>();

  function forgetSome(now: number): void {
    for (const [key, at] of fullAt) if (at <= now) fullAt.delete(key);
    // No key has a full quota, so remove the oldest key. Its client gets a full quota early, but the memory
    // stays limited.
    evictOldest(fullAt, KEYS_MAX);
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
      // A refill that takes longer than two windows means that the clock was set back. Start with a full
      // quota again. Otherwise the key would be refused until the clock catches up.
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

/**
 * `RateLimit` header (draft-ietf-httpapi-ratelimit-headers-10) with the number of remaining requests and the
 * seconds until the refill.
 */
export const rateLimitHeader = ({ name }: Quota, taken: Taken): string =>
  `"${name}";r=${taken.remaining};t=${taken.resetSeconds}`;

/** `RateLimit-Policy` header (same draft as {@link rateLimitHeader}) with the quota and the window. */
export const rateLimitPolicyHeader = ({ name, quota, windowSeconds }: Quota): string =>
  `"${name}";q=${quota};w=${windowSeconds}`;
