/**
 * A run that takes longer than this does not count against the limit, so that a tenant that hangs does not
 * block others.
 */
const SLOW_LOOK_MS = 2000;

export type TenantLoops = {
  /** Starts a loop for a tenant, unless it has one. */
  add(tenantId: string): void;
  /** Runs the loop of a tenant immediately, or again after the current run. Starts a missing loop. */
  wake(tenantId: string): void;
  /** Runs all loops until the signal aborts. Does not wait for runs in progress. Never rejects. */
  run(stop: AbortSignal): Promise<void>;
};

type Needs = {
  /** One run for a tenant. Resolves to true when there is more to do, so that it runs again immediately. */
  look: (tenantId: string) => Promise<boolean>;
  /** Pause between two runs for a tenant, in milliseconds. */
  pauseMs: () => number;
  onFault: (tenantId: string, error: unknown) => void;
  /** Limit of concurrent runs over all tenants. Runs that take longer than two seconds do not count. */
  atOnce: number;
};

type Loop = { isLooking: boolean; isReady: boolean; isWoken: boolean; timer?: ReturnType<typeof setTimeout> };

/** One loop per tenant. Tenants do not wait for each other. */
export function createTenantLoops({ look, pauseMs, onFault, atOnce }: Needs): TenantLoops {
  const loops = new Map<string, Loop>();
  const ready: string[] = [];
  let looking = 0;
  let isRunning = false;

  function makeReady(tenantId: string, loop: Loop): void {
    clearTimeout(loop.timer);
    if (loop.isLooking) {
      loop.isWoken = true;
      return;
    }
    if (loop.isReady) return;
    loop.isReady = true;
    ready.push(tenantId);
    startReady();
  }

  function startReady(): void {
    while (isRunning && looking < atOnce && ready.length > 0) {
      const tenantId = ready.shift()!;
      void lookOnce(tenantId, loops.get(tenantId)!);
    }
  }

  async function lookOnce(tenantId: string, loop: Loop): Promise<void> {
    loop.isReady = false;
    loop.isLooking = true;
    looking++;
    let isCounted = true;
    const release = () => {
      if (isCounted) looking--;
      isCounted = false;
      startReady();
    };
    const slow = setTimeout(release, SLOW_LOOK_MS);
    let hasMore = false;
    try {
      hasMore = await look(tenantId);
    } catch (error) {
      onFault(tenantId, error);
    }
    clearTimeout(slow);
    loop.isLooking = false;
    const isDueNow = hasMore || loop.isWoken;
    loop.isWoken = false;
    release();
    if (!isRunning) return;
    if (isDueNow) makeReady(tenantId, loop);
    else loop.timer = setTimeout(() => makeReady(tenantId, loop), pauseMs());
  }

  function loopOf(tenantId: string): Loop {
    const known = loops.get(tenantId);
    if (known) return known;
    const loop = { isLooking: false, isReady: false, isWoken: false };
    loops.set(tenantId, loop);
    makeReady(tenantId, loop);
    return loop;
  }

  return {
    add: (tenantId) => void loopOf(tenantId),
    wake(tenantId) {
      const known = loops.get(tenantId);
      if (known) makeReady(tenantId, known);
      else loopOf(tenantId);
    },
    async run(stop) {
      isRunning = !stop.aborted;
      startReady();
      if (isRunning) {
        await new Promise((resolve) => stop.addEventListener("abort", resolve, { once: true }));
      }
      isRunning = false;
      for (const { timer } of loops.values()) clearTimeout(timer);
    },
  };
}
