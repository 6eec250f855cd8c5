/** Longest time in milliseconds without a yield to the event loop, so that probe responses are received meanwhile. */
const SLICE_MS_MAX = 1;

export type Budget = {
  /** Call between two pieces of work. Yields to the event loop about once a millisecond. The first call returns false. */
  isUsedUp(): Promise<boolean>;
};

/**
 * A budget of processor time in milliseconds. On a busy host the process waits for a processor, so a wall-clock budget
 * would be used up before any work was done.
 */
export function createBudget(deps: { elapsed: () => number; cpuMs: () => number }, limitMs: number): Budget {
  let spentMs = 0;
  let isFirst = true;
  let sliceAtMs = deps.elapsed();
  let sliceCpuMs = deps.cpuMs();
  return {
    isUsedUp: async () => {
      const spent = spentMs + deps.cpuMs() - sliceCpuMs;
      if (isFirst) {
        isFirst = false;
        return false;
      }
      if (spent > limitMs) return true;
      if (deps.elapsed() - sliceAtMs > SLICE_MS_MAX) {
        await yieldToEventLoop();
        spentMs = spent;
        sliceAtMs = deps.elapsed();
        sliceCpuMs = deps.cpuMs();
      }
      return false;
    },
  };
}

const yieldToEventLoop = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
