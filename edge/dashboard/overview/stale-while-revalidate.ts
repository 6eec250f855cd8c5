import { evictOldest } from "../../../shared/evict-oldest.ts";
import type { DashboardDeps } from "../deps.ts";

/** Keeps work running after the response is sent. Uses `waitUntil` on Workers, and does nothing on other runtimes. */
export type Background = (work: Promise<unknown>) => void;

/** Minimum age in ms of a cached value before it is read again. */
const FRESH_MS = 1000;
/**
 * Maximum fraction of time that is spent on reading a value. Values that are slow to read are therefore
 * cached longer.
 */
const READ_SHARE = 1 / 25;
/**
 * If a read takes longer than this time in ms, later reads run in the background while the stale value is
 * served. A stale value is served for at most {@link STALE_MS_MAX}.
 */
const SLOW_MS = 80;
const STALE_MS_MAX = 60_000;
const TENANTS_MAX = 16;

export type TenantCache<Value> = {
  /** Returns the value for a tenant. The value is at most {@link STALE_MS_MAX} old. */
  get(tenantId: string, background: Background): Promise<Value>;
  has(tenantId: string): boolean;
  /** Starts the first read of a value in the background, at most once per {@link STALE_MS_MAX}. */
  warm(tenantId: string, background: Background): void;
};

/**
 * A stale-while-revalidate cache with one value for each tenant. A value that is fast to read is read again
 * when it is older than one second. A value that is slow to read is served stale while a background read
 * replaces it.
 *
 * A request never awaits a read that another request started, because workerd cancels such reads.
 */
export function createTenantCache<Value>(
  deps: Pick<DashboardDeps, "clock" | "log">,
  read: (tenantId: string) => Promise<Value>,
): TenantCache<Value> {
  type Cached = { value: Value; readAtMs: number; tookMs: number; startedAtMs: number };
  const cached = new Map<string, Cached>();
  const warmedAtMs = new Map<string, number>();

  async function refresh(tenantId: string): Promise<Value> {
    const startedAtMs = deps.clock();
    const value = await read(tenantId);
    const tookMs = deps.clock() - startedAtMs;
    setNewest(cached, tenantId, { value, readAtMs: startedAtMs, tookMs, startedAtMs });
    return value;
  }

  const refreshInBackground = (tenantId: string, background: Background) =>
    background(
      refresh(tenantId).catch((error: unknown) => deps.log("warn", "fleet.stale", { tenantId, error })),
    );

  return {
    has: (tenantId) => cached.has(tenantId),
    warm(tenantId, background) {
      const now = deps.clock();
      if (now - (warmedAtMs.get(tenantId) ?? Number.NEGATIVE_INFINITY) < STALE_MS_MAX) return;
      setNewest(warmedAtMs, tenantId, now);
      refreshInBackground(tenantId, background);
    },
    async get(tenantId, background) {
      const last = cached.get(tenantId);
      if (!last) return refresh(tenantId);
      const now = deps.clock();
      if (now - last.startedAtMs < Math.max(FRESH_MS, last.tookMs / READ_SHARE)) return last.value;
      if (last.tookMs <= SLOW_MS || now - last.readAtMs > STALE_MS_MAX) return refresh(tenantId);
      // Mark the read as started, so that other requests do not start another one. If this read fails, the
      // next one starts after the same delay.
      last.startedAtMs = now;
      refreshInBackground(tenantId, background);
      return last.value;
    },
  };
}

/** Stores an entry as the newest one in a map. Evicts the oldest entries if the map has more than 16 tenants. */
export function setNewest<Value>(map: Map<string, Value>, key: string, value: Value): void {
  map.delete(key);
  evictOldest(map, TENANTS_MAX);
  map.set(key, value);
}
