import { evictOldest } from "../../shared/evict-oldest.ts";

/** Maximum response time of a prompt receiver. */
const PROMPT_MS = 2000;
/**
 * Maximum wait for a slot. After it the delivery is deferred, so that its event can be sent to its other
 * webhooks.
 */
const WAIT_MS = 2000;
/** Maximum number of concurrent deliveries to one webhook, depending on how fast it last responded. */
const PER_WEBHOOK = { prompt: 8, unknown: 2, slow: 1 } as const;
/** Slots for prompt receivers only, so that slow receivers cannot occupy all slots. */
const PROMPT_SLOTS = { total: 256, perTenant: 16 } as const;
const OTHER_SLOTS = { total: 128, perTenant: 8 } as const;

/** Delay of a deferred delivery whose receiver is not known to be slow. */
const DEFER_MS = 1000;
/**
 * Delay of a deferred delivery to a slow receiver, for each waiting delivery. It is the maximum duration of
 * one attempt, so that the deliveries run one after another.
 */
const DEFER_STEP_MS = 10_000;
const DEFER_MS_MAX = 1800_000;
/**
 * Maximum number of webhooks whose pace is remembered. Above this number, the least recently used webhook is
 * dropped.
 */
const KEPT_MAX = 10_000;

type Outcome<T> = { sent: T } | { deferMs: number };

export type DeliverySlots = {
  /** Sends if a slot becomes available in time. Otherwise returns the delay before the next try. */
  send<T>(tenantId: string, webhookId: string, send: () => Promise<T>): Promise<Outcome<T>>;
};

type Pace = keyof typeof PER_WEBHOOK;
type Hook = { tenantId: string; pace: Pace; underWay: number; deferred: number };
type Waiter = { hook: Hook; start: () => void };
type Pool = { total: number; byTenant: Map<string, number> };
type PoolName = "prompt" | "other";

/**
 * Limits concurrent webhook deliveries, so that receivers that hang do not block others.
 *
 * There are limits per webhook and per tenant, and a separate pool of slots for prompt receivers. A delivery
 * that turns out to be slow moves to the other pool after {@link PROMPT_MS}.
 */
export const createDeliverySlots = (): DeliverySlots => new Slots();

class Slots implements DeliverySlots {
  readonly #hooks = new Map<string, Hook>();
  readonly #pools = { prompt: newPool(), other: newPool() };
  /** Waiting deliveries by tenant. The tenant that is served next comes first. */
  readonly #waiting = new Map<string, Waiter[]>();

  async send<T>(tenantId: string, webhookId: string, send: () => Promise<T>): Promise<Outcome<T>> {
    const hook = this.#hookOf(tenantId, webhookId);
    const pool = await this.#slotFor(hook);
    return pool === undefined ? { deferMs: deferMs(hook) } : { sent: await this.#sendIn(pool, hook, send) };
  }

  /** Sends in a slot that is already taken, and then frees the slot. A slow delivery moves to the other pool. */
  async #sendIn<T>(first: PoolName, hook: Hook, send: () => Promise<T>): Promise<T> {
    let pool = first;
    let isLate = false;
    const late = setTimeout(() => {
      isLate = true;
      hook.pace = "slow";
      add(this.#pools[pool], hook.tenantId, -1);
      pool = "other";
      add(this.#pools[pool], hook.tenantId, 1);
      this.#startWaiting();
    }, PROMPT_MS);
    try {
      return await send();
    } finally {
      clearTimeout(late);
      add(this.#pools[pool], hook.tenantId, -1);
      hook.underWay--;
      if (!isLate) {
        hook.pace = "prompt";
        hook.deferred = 0;
      }
      this.#startWaiting();
    }
  }

  #hasSlot(hook: Hook): boolean {
    const name = poolOf(hook);
    const limits = name === "prompt" ? PROMPT_SLOTS : OTHER_SLOTS;
    return (
      hook.underWay < PER_WEBHOOK[hook.pace] &&
      this.#pools[name].total < limits.total &&
      (this.#pools[name].byTenant.get(hook.tenantId) ?? 0) < limits.perTenant
    );
  }

  #take(hook: Hook): PoolName {
    const name = poolOf(hook);
    hook.underWay++;
    add(this.#pools[name], hook.tenantId, 1);
    return name;
  }

  /** Takes a slot, and waits up to {@link WAIT_MS} for it. Resolves to undefined if no slot became available. */
  #slotFor(hook: Hook): Promise<PoolName | undefined> {
    if (this.#hasSlot(hook)) return Promise.resolve(this.#take(hook));
    if (hook.pace === "slow") return Promise.resolve(undefined);
    return new Promise((resolve) => {
      const waiters = this.#waiting.get(hook.tenantId) ?? [];
      this.#waiting.set(hook.tenantId, waiters);
      const waiter: Waiter = {
        hook,
        start: () => {
          clearTimeout(late);
          resolve(this.#take(hook));
        },
      };
      const late = setTimeout(() => {
        const left = (this.#waiting.get(hook.tenantId) ?? []).filter((other) => other !== waiter);
        if (left.length === 0) this.#waiting.delete(hook.tenantId);
        else this.#waiting.set(hook.tenantId, left);
        resolve(undefined);
      }, WAIT_MS);
      waiters.push(waiter);
    });
  }

  /** Starts waiting deliveries, round-robin over the tenants. */
  #startWaiting(): void {
    for (const [tenantId, waiters] of [...this.#waiting]) {
      const index = waiters.findIndex(({ hook }) => this.#hasSlot(hook));
      if (index < 0) continue;
      const [next] = waiters.splice(index, 1);
      this.#waiting.delete(tenantId);
      if (waiters.length > 0) this.#waiting.set(tenantId, waiters);
      next!.start();
    }
  }

  #hookOf(tenantId: string, webhookId: string): Hook {
    const name = `${tenantId} ${webhookId}`;
    const hook = this.#hooks.get(name) ?? { tenantId, pace: "unknown", underWay: 0, deferred: 0 };
    this.#hooks.delete(name);
    this.#hooks.set(name, hook);
    evictOldest(this.#hooks, KEPT_MAX + 1);
    return hook;
  }
}

const poolOf = ({ pace }: Hook): PoolName => (pace === "prompt" ? "prompt" : "other");

function deferMs(hook: Hook): number {
  if (hook.pace !== "slow") return DEFER_MS;
  return Math.min(++hook.deferred * DEFER_STEP_MS, DEFER_MS_MAX);
}

const newPool = (): Pool => ({ total: 0, byTenant: new Map() });

function add(pool: Pool, tenantId: string, by: 1 | -1): void {
  pool.total += by;
  const count = (pool.byTenant.get(tenantId) ?? 0) + by;
  if (count === 0) pool.byTenant.delete(tenantId);
  else pool.byTenant.set(tenantId, count);
}
