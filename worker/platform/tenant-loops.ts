/**
 * Time in milliseconds after which a run no longer counts against the limit. A tenant whose run hangs
 * therefore does not block others.
 */
const SLOW_RUN_MS = 2000;

export type TenantLoops = {
  /** Starts a loop for a tenant, unless the tenant has one. */
  add(tenantId: string): void;
  /**
   * Runs the loop of a tenant immediately, or again after the current run. Starts the loop if the tenant has
   * none.
   */
  wake(tenantId: string): void;
  /** Runs all loops until the signal aborts. Does not wait for runs in progress. Never rejects. */
  run(stop: AbortSignal): Promise<void>;
};

type Needs = {
  /** Runs once for a tenant. Resolves to true if there is more to do, so that the loop runs again immediately. */
  runOnce: (tenantId: string) => Promise<boolean>;
  /** Pause between two runs for a tenant, in milliseconds. */
  pauseMs: () => number;
  onFault: (tenantId: string, error: unknown) => void;
  /** Maximum number of concurrent runs over all tenants. Runs that take longer than two seconds do not count. */
  concurrency: number;
};

type Loop = { isActive: boolean; isReady: boolean; isWoken: boolean; timer?: ReturnType<typeof setTimeout> };

/** Creates loops, one per tenant. Tenants do not wait for each other. */
export const createTenantLoops = (needs: Needs): TenantLoops => {
  const loops = new Loops(needs);
  return {
    add: (tenantId) => loops.add(tenantId),
    wake: (tenantId) => loops.wake(tenantId),
    run: (stop) => loops.run(stop),
  };
};

class Loops implements TenantLoops {
  readonly #needs: Needs;
  readonly #loops = new Map<string, Loop>();
  /** Tenants that wait for a run, in order. */
  readonly #ready: string[] = [];
  /** Number of runs that count against the limit. */
  #active = 0;
  #isRunning = false;

  constructor(needs: Needs) {
    this.#needs = needs;
  }

  add(tenantId: string): void {
    if (!this.#loops.has(tenantId)) this.#start(tenantId);
  }

  wake(tenantId: string): void {
    const known = this.#loops.get(tenantId);
    if (known) this.#makeReady(tenantId, known);
    else this.#start(tenantId);
  }

  async run(stop: AbortSignal): Promise<void> {
    this.#isRunning = !stop.aborted;
    this.#runReady();
    if (this.#isRunning)
      await new Promise((resolve) => stop.addEventListener("abort", resolve, { once: true }));
    this.#isRunning = false;
    for (const { timer } of this.#loops.values()) clearTimeout(timer);
  }

  #start(tenantId: string): void {
    const loop = { isActive: false, isReady: false, isWoken: false };
    this.#loops.set(tenantId, loop);
    this.#makeReady(tenantId, loop);
  }

  #makeReady(tenantId: string, loop: Loop): void {
    clearTimeout(loop.timer);
    if (loop.isActive) {
      loop.isWoken = true;
      return;
    }
    if (loop.isReady) return;
    loop.isReady = true;
    this.#ready.push(tenantId);
    this.#runReady();
  }

  #runReady(): void {
    while (this.#isRunning && this.#active < this.#needs.concurrency && this.#ready.length > 0) {
      const tenantId = this.#ready.shift()!;
      void this.#runOnce(tenantId, this.#loops.get(tenantId)!);
    }
  }

  async #runOnce(tenantId: string, loop: Loop): Promise<void> {
    const { runOnce, pauseMs, onFault } = this.#needs;
    loop.isReady = false;
    loop.isActive = true;
    const release = this.#count();
    const slow = setTimeout(release, SLOW_RUN_MS);
    let hasMore = false;
    try {
      hasMore = await runOnce(tenantId);
    } catch (error) {
      onFault(tenantId, error);
    }
    clearTimeout(slow);
    loop.isActive = false;
    const isDueNow = hasMore || loop.isWoken;
    loop.isWoken = false;
    release();
    if (!this.#isRunning) return;
    if (isDueNow) this.#makeReady(tenantId, loop);
    else loop.timer = setTimeout(() => this.#makeReady(tenantId, loop), pauseMs());
  }

  /**
   * Counts a run against the limit until the returned function is called. Further calls of that function have
   * no effect.
   */
  #count(): () => void {
    this.#active++;
    let isCounted = true;
    return () => {
      if (isCounted) this.#active--;
      isCounted = false;
      this.#runReady();
    };
  }
}
