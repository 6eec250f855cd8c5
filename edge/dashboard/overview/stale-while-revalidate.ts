import type { Deps } from "../../deps.ts";

/** Lets work go on after the answer is sent; on runtimes that end with the answer, by their own means. */
export type Background = (work: Promise<unknown>) => void;

/** A picture younger than this is not taken again. */
const FRESH_MS = 1000;
/** A picture that took long is kept longer, so that a large fleet costs at most this share of the time. */
const READ_SHARE = 1 / 25;
/** Readings that take longer than this are done behind an older picture, up to the age below. */
const SLOW_MS = 80;
export const BEHIND_MS_MAX = 60_000;
const TENANTS_MAX = 16;

export type Pictures<Value> = {
  of(tenantId: string, background: Background): Promise<Value>;
  has(tenantId: string): boolean;
  /** Takes the first one behind the page, at most once in a while. */
  begin(tenantId: string, background: Background): void;
};

/**
 * Something large of each tenant, kept for a while. What is quickly read is read again whenever it is asked for; what
 * takes long is served from the last picture while the next one is taken.
 *
 * A request never awaits what another one started (workerd cancels that): it either has a picture or takes one.
 */
export function createPictures<Value>(
  deps: Pick<Deps, "clock" | "log">,
  read: (tenantId: string) => Promise<Value>,
): Pictures<Value> {
  type Kept = { value: Value; readAtMs: number; tookMs: number; startedAtMs: number };
  const kept = new Map<string, Kept>();
  const begun = new Map<string, number>();

  async function take(tenantId: string): Promise<Value> {
    const startedAtMs = deps.clock();
    const value = await read(tenantId);
    const tookMs = deps.clock() - startedAtMs;
    keepNewest(kept, tenantId, { value, readAtMs: startedAtMs, tookMs, startedAtMs });
    return value;
  }

  const takeBehind = (tenantId: string, background: Background) =>
    background(
      take(tenantId).catch((error: unknown) => deps.log("warn", "fleet.stale", { tenantId, error })),
    );

  return {
    has: (tenantId) => kept.has(tenantId),
    begin(tenantId, background) {
      const now = deps.clock();
      if (now - (begun.get(tenantId) ?? Number.NEGATIVE_INFINITY) < BEHIND_MS_MAX) return;
      keepNewest(begun, tenantId, now);
      takeBehind(tenantId, background);
    },
    async of(tenantId, background) {
      const last = kept.get(tenantId);
      if (!last) return take(tenantId);
      const now = deps.clock();
      if (now - last.startedAtMs < Math.max(FRESH_MS, last.tookMs / READ_SHARE)) return last.value;
      if (last.tookMs <= SLOW_MS || now - last.readAtMs > BEHIND_MS_MAX) return take(tenantId);
      last.startedAtMs = now; // one reader at a time; should it be lost, the next one starts after the same pause
      takeBehind(tenantId, background);
      return last.value;
    },
  };
}

/** Keeps it as the newest, and no more than so many tenants. */
export function keepNewest<Value>(map: Map<string, Value>, key: string, value: Value): void {
  map.delete(key);
  if (map.size >= TENANTS_MAX) map.delete(map.keys().next().value!);
  map.set(key, value);
}
