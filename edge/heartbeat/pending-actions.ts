import type { Log } from "../../shared/observability/log.ts";
import { isRecent } from "../../shared/time/clock.ts";
import type { Instruments } from "../platform/telemetry.ts";
import {
  type CheckedActions,
  type PendingAction,
  type ReadPendingActionsDeps,
  readPendingActions,
} from "./read-pending-actions.ts";

/** Keeps work of a request running after its response was sent. Given by runtimes that would end it otherwise. */
export type WaitUntil = (work: Promise<unknown>) => void;

/** Pending actions of each tenant, cached on this node. */
export type PendingActions = {
  /**
   * Pending actions of a tenant, by asset id. At most {@link REFRESH_MS} old while the table responds.
   *
   * @param waitUntil lets a refresh finish after the response, where requests may not share I/O (workerd)
   */
  of(tenantId: string, waitUntil?: WaitUntil): Promise<ReadonlyMap<string, PendingAction>>;
  /** Makes the next `of` wait for a new read. Called after a change that this node made. */
  forget(tenantId: string): void;
  /** Adds an action that this node has just written. It counts before the index shows it. */
  learn(tenantId: string, assetId: string, action: PendingAction): void;
  /**
   * Calls `notify` with the asset's action after every refresh, and keeps refreshing until the returned function is
   * called.
   */
  watch(tenantId: string, assetId: string, notify: Notify): () => void;
};

/** Time between two reads of one tenant's index. */
const REFRESH_MS = 2000;
const TENANTS_MAX = 10_000;
/** Where requests share no I/O, a request waits for another request's first read by polling at this interval. */
const POLL_MS = 20;
const FIRST_READ_MS_MAX = 2000;
/** A global secondary index follows its table within a moment. A later read that lacks the change is newer than it. */
const LEARNT_MS = 10_000;

type Notify = (action: PendingAction) => void;

type TenantCache = {
  actions: ReadonlyMap<string, PendingAction>;
  /** When the newest read began, whether it succeeded or not. */
  triedAtMs: number;
  /** When the actions were last read. */
  readAtMs: number;
  /** True before the first read and after a change on this node: the next caller waits for a read. */
  mustWait: boolean;
  /** Number of changes made on this node. A read that began before the newest change is not fresh. */
  changes: number;
  learnt: Map<string, { action: PendingAction; atMs: number }>;
  watchers: Map<string, Set<Notify>>;
  isTicking: boolean;
  checked: CheckedActions;
  refreshing?: Promise<ReadonlyMap<string, PendingAction>> | undefined;
};

export type PendingActionsDeps = ReadPendingActionsDeps & {
  log: Log;
  instruments: Pick<Instruments, "actionSetAge">;
  /** False on workerd, where a request may not await I/O that another request started. */
  shared: boolean;
  after: (ms: number, then: () => void) => void;
};

type State = { deps: PendingActionsDeps; tenants: Map<string, TenantCache> };

/**
 * Caches the pending actions of each tenant: one GSI2 query per tenant every {@link REFRESH_MS}, none per heartbeat.
 * Stale actions are served during a refresh and while the table is unavailable, so that ingest continues. Only the
 * first read of a tenant is awaited, for at most {@link FIRST_READ_MS_MAX} where requests share no I/O.
 */
export function createPendingActions(deps: PendingActionsDeps): PendingActions {
  const state: State = { deps, tenants: new Map() };
  return {
    async of(tenantId, waitUntil) {
      const cache = cacheOf(state, tenantId);
      if (!cache.mustWait && isRecent(cache.triedAtMs, deps.clock(), REFRESH_MS)) return cache.actions;
      if (deps.shared) {
        cache.refreshing ??= refresh(state, tenantId, cache);
        if (cache.mustWait) await cache.refreshing;
      } else await refreshUnshared(state, tenantId, cache, waitUntil);
      return cache.actions;
    },
    forget(tenantId) {
      const cache = state.tenants.get(tenantId);
      if (!cache) return;
      cache.changes++;
      cache.triedAtMs = Number.NEGATIVE_INFINITY;
      cache.mustWait = true;
      if (cache.watchers.size > 0) cache.refreshing ??= refresh(state, tenantId, cache);
    },
    learn(tenantId, assetId, action) {
      const cache = cacheOf(state, tenantId);
      cache.learnt.set(assetId, { action, atMs: deps.clock() });
      cache.actions = withLearnt(new Map(cache.actions), cache.learnt, deps.clock());
      notifyWatchers(cache);
    },
    watch(tenantId, assetId, notify) {
      const cache = cacheOf(state, tenantId);
      const watchers = cache.watchers.get(assetId) ?? new Set();
      cache.watchers.set(assetId, watchers.add(notify));
      keepRefreshing(state, tenantId, cache);
      return () => {
        watchers.delete(notify);
        if (watchers.size === 0 && cache.watchers.get(assetId) === watchers) cache.watchers.delete(assetId);
      };
    },
  };
}

function cacheOf({ tenants }: State, tenantId: string): TenantCache {
  let cache = tenants.get(tenantId);
  if (cache) return cache;
  if (tenants.size >= TENANTS_MAX) evictOne(tenants);
  cache = {
    actions: new Map(),
    triedAtMs: Number.NEGATIVE_INFINITY,
    readAtMs: Number.NEGATIVE_INFINITY,
    mustWait: true,
    changes: 0,
    learnt: new Map(),
    watchers: new Map(),
    isTicking: false,
    checked: new Map(),
  };
  tenants.set(tenantId, cache);
  return cache;
}

/** Evicts the oldest tenant without watchers. A watched tenant stays, because changes must reach its watchers. */
function evictOne(tenants: Map<string, TenantCache>): void {
  for (const [tenantId, { watchers }] of tenants) {
    if (watchers.size > 0) continue;
    tenants.delete(tenantId);
    return;
  }
}

/** Reads the tenant's actions once, or twice if a change on this node arrives during the first read. Never rejects. */
async function refresh(
  { deps }: State,
  tenantId: string,
  cache: TenantCache,
): Promise<ReadonlyMap<string, PendingAction>> {
  const readBeforeMs = cache.readAtMs;
  let changes = cache.changes;
  cache.triedAtMs = deps.clock(); // before the read, so that concurrent callers start no read of their own
  try {
    let actions = await readPendingActions(deps, tenantId, cache.checked);
    if (changes !== cache.changes) {
      changes = cache.changes;
      actions = await readPendingActions(deps, tenantId, cache.checked);
    }
    cache.actions = withLearnt(actions, cache.learnt, deps.clock());
    cache.readAtMs = deps.clock();
  } catch (error) {
    const age = Number.isFinite(readBeforeMs) && { ageMs: deps.clock() - readBeforeMs };
    deps.log("warn", "open-actions.stale", { tenantId, ...age, error });
  }
  if (Number.isFinite(readBeforeMs)) deps.instruments.actionSetAge(deps.clock() - readBeforeMs);
  cache.mustWait = changes !== cache.changes;
  cache.refreshing = undefined;
  notifyWatchers(cache);
  return cache.actions;
}

/**
 * Refreshes where each request does its own I/O (workerd): one request reads, after its response if it can. The others
 * poll the cache, because they may not await that read.
 */
async function refreshUnshared(
  state: State,
  tenantId: string,
  cache: TenantCache,
  waitUntil: WaitUntil | undefined,
): Promise<void> {
  const { clock, after } = state.deps;
  const pause = (ms: number) => new Promise<void>((resolve) => after(ms, resolve));
  if (isRecent(cache.triedAtMs, clock(), REFRESH_MS)) {
    const untilMs = clock() + FIRST_READ_MS_MAX;
    while (cache.mustWait && clock() < untilMs) await pause(POLL_MS);
    return;
  }
  const reading = refresh(state, tenantId, cache);
  waitUntil?.(reading);
  if (cache.mustWait) await Promise.race([reading, pause(FIRST_READ_MS_MAX)]);
  else if (!waitUntil) await reading;
}

/** Refreshes every {@link REFRESH_MS} while the tenant is watched. Heartbeats alone would leave gaps on a quiet tenant. */
function keepRefreshing(state: State, tenantId: string, cache: TenantCache): void {
  if (cache.isTicking) return;
  cache.isTicking = true;
  state.deps.after(REFRESH_MS, () => {
    cache.isTicking = false;
    if (cache.watchers.size === 0) return;
    keepRefreshing(state, tenantId, cache);
    if (!isRecent(cache.triedAtMs, state.deps.clock(), REFRESH_MS / 2))
      cache.refreshing ??= refresh(state, tenantId, cache);
  });
}

function notifyWatchers({ actions, watchers }: TenantCache): void {
  if (watchers.size === 0) return;
  for (const [assetId, action] of actions)
    for (const notify of [...(watchers.get(assetId) ?? [])]) notify(action);
}

/** Adds learnt actions that the index does not show yet. Drops those that are too old or that it has overtaken. */
function withLearnt(
  actions: Map<string, PendingAction>,
  learnt: TenantCache["learnt"],
  nowMs: number,
): Map<string, PendingAction> {
  for (const [assetId, { action, atMs }] of learnt) {
    const known = actions.get(assetId);
    const isOver = !isRecent(atMs, nowMs, LEARNT_MS) || (known && known.generation > action.generation);
    if (isOver) learnt.delete(assetId);
    else if (known?.generation !== action.generation) actions.set(assetId, action);
  }
  return actions;
}
