import type { Log } from "../../shared/observability/log.ts";
import { isRecent } from "../../shared/time/clock.ts";
import type { Instruments } from "../platform/telemetry.ts";
import {
  type CheckedActions,
  type PendingAction,
  type ReadPendingActionsDeps,
  readPendingActions,
} from "./read-pending-actions.ts";

/**
 * Keeps a promise running after the response was sent. Only provided by runtimes that would otherwise cancel
 * the promise.
 */
export type WaitUntil = (work: Promise<unknown>) => void;

/** Pending actions of each tenant, cached on this node. */
export type PendingActions = {
  /**
   * Returns the pending actions of a tenant by asset id. While the table responds, the result is at most
   * {@link REFRESH_MS} old.
   *
   * @param waitUntil lets a refresh finish after the response, in runtimes where requests cannot share I/O
   * (workerd)
   */
  of(tenantId: string, waitUntil?: WaitUntil): Promise<ReadonlyMap<string, PendingAction>>;
  /**
   * Discards the cached actions, so that the next call of `of` waits for a new read. Called after this node
   * has made a change.
   */
  forget(tenantId: string): void;
  /**
   * Adds an action that this node has just written. The cached action is used even if the index does not
   * contain it yet.
   */
  learn(tenantId: string, assetId: string, action: PendingAction): void;
  /**
   * Calls `notify` with the asset's action after every refresh. The refreshes continue until the returned
   * function is called.
   */
  watch(tenantId: string, assetId: string, notify: Notify): () => void;
};

/** Interval between two reads of the same tenant's index. */
const REFRESH_MS = 2000;
const TENANTS_MAX = 10_000;
/**
 * Polling interval of a request that waits for the first read of another request, in runtimes where requests
 * cannot share I/O.
 */
const POLL_MS = 20;
const FIRST_READ_MS_MAX = 2000;
/**
 * Time for which an action that this node wrote is used although the index does not contain it. A global
 * secondary index normally reflects a change of its table much earlier. If an index read after this time does
 * not contain the action, a newer change removed it.
 */
const LEARNT_MS = 10_000;

type Notify = (action: PendingAction) => void;

type TenantCache = {
  actions: ReadonlyMap<string, PendingAction>;
  /** Time at which the newest read began, whether or not it succeeded. */
  triedAtMs: number;
  /** Start time of the newest successful read. */
  readAtMs: number;
  /** True before the first read and after a change on this node. The next caller then waits for a read. */
  mustWait: boolean;
  /** Number of changes made on this node. A read that began before the newest change can return outdated actions. */
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
  /** False on workerd, where a request cannot await I/O that another request started. */
  shared: boolean;
  after: (ms: number, then: () => void) => void;
};

type State = { deps: PendingActionsDeps; tenants: Map<string, TenantCache> };

/**
 * Caches the pending actions of each tenant. Each tenant costs one GSI2 query every {@link REFRESH_MS}, and
 * heartbeats cost no queries. Cached actions are served during a refresh and while the table is unavailable,
 * so that heartbeats are still accepted. A request only waits for the first read of a tenant. In runtimes
 * where requests cannot share I/O, it waits for at most {@link FIRST_READ_MS_MAX}.
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

/**
 * Evicts the oldest tenant that has no watchers. A watched tenant stays, because its watchers must be
 * notified of changes.
 */
function evictOne(tenants: Map<string, TenantCache>): void {
  for (const [tenantId, { watchers }] of tenants) {
    if (watchers.size > 0) continue;
    tenants.delete(tenantId);
    return;
  }
}

/**
 * Reads the tenant's actions. Repeats the read once if this node makes a change during the first read. Never
 * rejects.
 */
async function refresh(
  { deps }: State,
  tenantId: string,
  cache: TenantCache,
): Promise<ReadonlyMap<string, PendingAction>> {
  const readBeforeMs = cache.readAtMs;
  let changes = cache.changes;
  cache.triedAtMs = deps.clock(); // before the read, so that concurrent callers do not start another one
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
 * Refreshes in runtimes where each request does its own I/O (workerd). One request reads, if possible after
 * its response was sent. The other requests poll the cache, because they cannot await that read.
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

/**
 * Refreshes every {@link REFRESH_MS} while the tenant is watched. A tenant with few heartbeats would
 * otherwise be refreshed too rarely.
 */
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

/**
 * Adds actions that this node wrote and that the index does not contain yet. Drops written actions that are
 * too old, and actions that the index has superseded.
 */
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
