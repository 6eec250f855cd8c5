type Stop = () => unknown;

/** Processes and resources that a bench has started and that must be stopped when the bench ends. */
export type Scope = {
  keep: (stop: Stop) => void;
  /**
   * Starts a process or resource and registers how to stop it. If the bench ends during the start, the
   * process or resource is stopped after the start. Throws an error if the bench has already ended.
   */
  start: <T>(part: () => Promise<T>, stop: (part: T) => unknown) => Promise<T>;
};

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/**
 * Runs a bench. When the bench ends, fails, is interrupted, or runs longer than `secondsMax`, stops
 * everything that was registered, in reverse order. After a failure, prints one line and exits with code 1.
 */
export async function inScope<T>(secondsMax: number, bench: (scope: Scope) => Promise<T>): Promise<T> {
  const stops: Stop[] = [];
  let isOver = false;
  const over = Promise.withResolvers<never>();
  const late = setTimeout(
    () => over.reject(new Error(`still running after ${secondsMax} s`)),
    secondsMax * 1000,
  );
  // Use `on` instead of `once`. Ctrl-C arrives from the terminal and from the parent, and the second signal
  // must not interrupt the clean-up.
  const interrupt = (signal: NodeJS.Signals) => over.reject(new Error(`stopped by ${signal}`));
  for (const signal of SIGNALS) process.on(signal, interrupt);
  const scope: Scope = {
    keep: (stop) => void stops.unshift(stop),
    async start(part, stop) {
      if (isOver) throw new Error("the bench has already ended");
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
    // An interrupted bench may still register more to stop during this loop.
    while (stops.length > 0) await tryTo(stops.shift()!);
    for (const signal of SIGNALS) process.off(signal, interrupt);
  }
  console.error(`cannot measure: ${messageOf(failure)}`);
  process.exit(1);
}

/** Runs `stop` and prints its failure. One failure must not prevent the other registered functions from running. */
async function tryTo(stop: Stop): Promise<void> {
  try {
    await stop();
  } catch (error) {
    console.error(`could not stop a process or resource: ${messageOf(error)}`);
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
