/** Reading in one go before others have their turn: servers are asked meanwhile, and their answers taken in. */
const TURN_MS_MAX = 1;

export type Budget = {
  /** To be asked between two pieces of work. Lets others have their turn now and then. The first answer is no. */
  isUsedUp(): Promise<boolean>;
};

/**
 * A budget of processor time. On a busy host a clock runs on while this process waits for a processor, so that a budget
 * by the clock would be used up before anything was done.
 */
export function createBudget(deps: { elapsed: () => number; cpuMs: () => number }, limitMs: number): Budget {
  let spentMs = 0;
  let isFirst = true;
  let turnAtMs = deps.elapsed();
  let turnCpuMs = deps.cpuMs();
  return {
    isUsedUp: async () => {
      const spent = spentMs + deps.cpuMs() - turnCpuMs;
      if (isFirst) {
        isFirst = false;
        return false;
      }
      if (spent > limitMs) return true;
      if (deps.elapsed() - turnAtMs > TURN_MS_MAX) {
        await pause();
        spentMs = spent;
        turnAtMs = deps.elapsed();
        turnCpuMs = deps.cpuMs();
      }
      return false;
    },
  };
}

/** Until all that waits for this thread had its turn. */
const pause = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
