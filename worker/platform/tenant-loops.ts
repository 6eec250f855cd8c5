/** A look longer than this no longer counts against the limit: a tenant that hangs must not hold the others back. */
const SLOW_LOOK_MS = 2000;

export type TenantLoops = {
  /** Starts a loop for this tenant, if it has none yet. */
  add(tenantId: string): void;
  /** Looks at once, also when a look is under way: then again after it. Starts the loop if there is none. */
  wake(tenantId: string): void;
  /** Runs all loops until the signal aborts. Does not wait for looks under way. Never rejects. */
  run(stop: AbortSignal): Promise<void>;
};

type Needs = {
  /** One look at a tenant. True: there is more to do, look again at once. */
  look: (tenantId: string) => Promise<boolean>;
  /** Pause between two looks at a tenant, in milliseconds. */
  pauseMs: () => number;
  onFault: (tenantId: string, error: unknown) => void;
  /** Looks under way at the same time, over all tenants, those that take longer than two seconds left out. */
  atOnce: number;
};

type Loop = { isLooking: boolean; isReady: boolean; isWoken: boolean; timer?: ReturnType<typeof setTimeout> };

/** One loop per tenant. A tenant never waits for another one: there is no round that all take part in. */
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
