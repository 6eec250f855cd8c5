/** A receiver that responds within this time is prompt. */
const PROMPT_MS = 2000;
/** Maximum wait for a slot. Then the delivery is deferred, so that its event can be sent to its other webhooks. */
const WAIT_MS = 2000;
/** Limit of concurrent deliveries per webhook, by the pace of its last response. */
const PER_WEBHOOK = { prompt: 8, unknown: 2, slow: 1 } as const;
/** Prompt receivers have their own slots, so that slow ones cannot occupy all of them. */
const PROMPT_SLOTS = { total: 256, perTenant: 16 } as const;
const OTHER_SLOTS = { total: 128, perTenant: 8 } as const;

/** Deferral when there is no slot and the receiver is not known to be slow. */
const DEFER_MS = 1000;
/**
 * Deferral per waiting delivery to a slow receiver: the maximum duration of one attempt, so that they run one
 * after another.
 */
const DEFER_STEP_MS = 10_000;
const DEFER_MS_MAX = 1800_000;
/** Limit of webhooks whose pace is remembered. Beyond it the least recently used one is dropped. */
const KEPT_MAX = 10_000;

type Outcome<T> = { sent: T } | { deferMs: number };

export type DeliverySlots = {
  /** Sends when a slot is available. Otherwise returns the delay before the next try. */
  send<T>(tenantId: string, webhookId: string, send: () => Promise<T>): Promise<Outcome<T>>;
};

type Pace = keyof typeof PER_WEBHOOK;
type Hook = { tenantId: string; pace: Pace; underWay: number; deferred: number };
type Waiter = { hook: Hook; start: () => void };
type Pool = { total: number; byTenant: Map<string, number> };
type PoolName = "prompt" | "other";

/**
 * Limits concurrent webhook deliveries, so that receivers that hang do not block others. There is a limit per
 * webhook and per tenant, and a pool of slots for prompt receivers only. A delivery that turns out to be slow
 * moves to the other pool after {@link PROMPT_MS}.
 */
export function createDeliverySlots(): DeliverySlots {
  const hooks = new Map<string, Hook>();
  const pools = { prompt: newPool(), other: newPool() };
  const waiting = new Map<string, Waiter[]>();

  const poolOf = ({ pace }: Hook): PoolName => (pace === "prompt" ? "prompt" : "other");

  function take(hook: Hook): PoolName {
    const name = poolOf(hook);
    hook.underWay++;
    add(pools[name], hook.tenantId, 1);
    return name;
  }

  function hasSlot(hook: Hook): boolean {
    const name = poolOf(hook);
    const limits = name === "prompt" ? PROMPT_SLOTS : OTHER_SLOTS;
    return (
      hook.underWay < PER_WEBHOOK[hook.pace] &&
      pools[name].total < limits.total &&
      (pools[name].byTenant.get(hook.tenantId) ?? 0) < limits.perTenant
    );
  }

  /** Starts waiting deliveries, round-robin over tenants. */
  function startWaiting(): void {
    for (const [tenantId, waiters] of [...waiting]) {
      const index = waiters.findIndex(({ hook }) => hasSlot(hook));
      if (index < 0) continue;
      const [next] = waiters.splice(index, 1);
      waiting.delete(tenantId);
      if (waiters.length > 0) waiting.set(tenantId, waiters);
      next!.start();
    }
  }

  /** Takes a slot, waiting up to {@link WAIT_MS}. Undefined when none became available. */
  function slotFor(hook: Hook): Promise<PoolName | undefined> {
    if (hasSlot(hook)) return Promise.resolve(take(hook));
    if (hook.pace === "slow") return Promise.resolve(undefined);
    return new Promise((resolve) => {
      const waiters = waiting.get(hook.tenantId) ?? [];
      waiting.set(hook.tenantId, waiters);
      const waiter: Waiter = {
        hook,
        start() {
          clearTimeout(late);
          resolve(take(hook));
        },
      };
      const late = setTimeout(() => {
        const left = (waiting.get(hook.tenantId) ?? []).filter((other) => other !== waiter);
        if (left.length === 0) waiting.delete(hook.tenantId);
        else waiting.set(hook.tenantId, left);
        resolve(undefined);
      }, WAIT_MS);
      waiters.push(waiter);
    });
  }

  function hookOf(tenantId: string, webhookId: string): Hook {
    const name = `${tenantId} ${webhookId}`;
    const hook = hooks.get(name) ?? { tenantId, pace: "unknown", underWay: 0, deferred: 0 };
    hooks.delete(name);
    hooks.set(name, hook);
    if (hooks.size > KEPT_MAX) hooks.delete(hooks.keys().next().value!);
    return hook;
  }

  function deferMs(hook: Hook): number {
    if (hook.pace !== "slow") return DEFER_MS;
    return Math.min(++hook.deferred * DEFER_STEP_MS, DEFER_MS_MAX);
  }

  return {
    async send(tenantId, webhookId, send) {
      const hook = hookOf(tenantId, webhookId);
      let pool = await slotFor(hook);
      if (pool === undefined) return { deferMs: deferMs(hook) };
      let isLate = false;
      const late = setTimeout(() => {
        isLate = true;
        hook.pace = "slow";
        add(pools[pool!], tenantId, -1);
        pool = "other";
        add(pools[pool], tenantId, 1);
        startWaiting();
      }, PROMPT_MS);
      try {
        return { sent: await send() };
      } finally {
        clearTimeout(late);
        add(pools[pool], tenantId, -1);
        hook.underWay--;
        if (!isLate) {
          hook.pace = "prompt";
          hook.deferred = 0;
        }
        startWaiting();
      }
    },
  };
}

const newPool = (): Pool => ({ total: 0, byTenant: new Map() });

function add(pool: Pool, tenantId: string, by: 1 | -1): void {
  pool.total += by;
  const count = (pool.byTenant.get(tenantId) ?? 0) + by;
  if (count === 0) pool.byTenant.delete(tenantId);
  else pool.byTenant.set(tenantId, count);
}
