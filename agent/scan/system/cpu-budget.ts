/** Maximum time in milliseconds without a yield to the event loop. Probe responses are received during a yield. */
const SLICE_MS_MAX = 1;

export type Budget = {
  /**
   * Call this function between two pieces of work. It yields to the event loop about once a millisecond. The
   * first call returns false.
   */
  isUsedUp(): Promise<boolean>;
};

/**
 * A budget of processor time in milliseconds. On a busy host, this process waits for a processor. A
 * wall-clock budget could therefore be used up before any work was done.
 */
export function createBudget(deps: { elapsed: () => number; cpuMs: () => number }, limitMs: number): Budget {
  let spentMs = 0;
  let isFirst = true;
  let isExceeded = false;
  let sliceAtMs = deps.elapsed();
  let sliceCpuMs = deps.cpuMs();
  return {
    isUsedUp: async () => {
      if (isFirst) {
        isFirst = false;
        return false;
      }
      // Reading the clock is much cheaper than reading the processor time. Processor time cannot exceed
      // elapsed time by much.
      if (isExceeded || deps.elapsed() - sliceAtMs <= SLICE_MS_MAX) return isExceeded;
      spentMs += deps.cpuMs() - sliceCpuMs;
      isExceeded = spentMs > limitMs;
      if (!isExceeded) await yieldToEventLoop();
      sliceAtMs = deps.elapsed();
      sliceCpuMs = deps.cpuMs();
      return isExceeded;
    },
  };
}

/** Resolves after the event loop has processed its pending work. */
export const yieldToEventLoop = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
