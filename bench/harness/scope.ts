type Stop = () => unknown;

/** Parts that a bench has started and must stop. */
export type Scope = {
  keep: (stop: Stop) => void;
  /**
   * Starts a part and registers how to stop it. If the bench ends while the part starts, the part is stopped
   * after its start. Throws after the end of the bench.
   */
  start: <T>(part: () => Promise<T>, stop: (part: T) => unknown) => Promise<T>;
};

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/**
 * Runs a bench. Registered parts stop in reverse order when the bench ends, fails, is interrupted, or runs
 * longer than `secondsMax`. After a failure it prints one line and exits with 1.
 */
export async function inScope<T>(secondsMax: number, bench: (scope: Scope) => Promise<T>): Promise<T> {
  const stops: Stop[] = [];
  let isOver = false;
  const over = Promise.withResolvers<never>();
  const late = setTimeout(() => over.reject(new Error(`not done after ${secondsMax} s`)), secondsMax * 1000);
  // `on`, not `once`: Ctrl-C arrives from the terminal and from the parent, and must not interrupt the clean-
  // up.
  const interrupt = (signal: NodeJS.Signals) => over.reject(new Error(`stopped by ${signal}`));
  for (const signal of SIGNALS) process.on(signal, interrupt);
  const scope: Scope = {
    keep: (stop) => void stops.unshift(stop),
    async start(part, stop) {
      if (isOver) throw new Error("the bench is over");
      const starting = part();
      stops.unshift(() => starting.then(stop, () => {}));
      return starting;
    },
  };
  let failure: unknown;
  try {
    return await Promise.race([bench(scope), over.promise]);
  } catch (error) {
    failure = error;
  } finally {
    clearTimeout(late);
    isOver = true;
    // An interrupted bench may still register parts during this loop.
    while (stops.length > 0) await tryTo(stops.shift()!);
    for (const signal of SIGNALS) process.off(signal, interrupt);
  }
  console.error(`cannot measure: ${messageOf(failure)}`);
  process.exit(1);
}

/** A part that does not stop must not prevent others from stopping. */
async function tryTo(stop: Stop): Promise<void> {
  try {
    await stop();
  } catch (error) {
    console.error(`not stopped: ${messageOf(error)}`);
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
