type Stop = () => unknown;

/** What a bench has started and must not leave behind. */
export type Scope = {
  keep: (stop: Stop) => void;
  /**
   * Starts a part and keeps it. One that is still coming up when the bench ends is waited for and then stopped;
   * after that none is started any more.
   */
  start: <T>(part: () => Promise<T>, stop: (part: T) => unknown) => Promise<T>;
};

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/**
 * Runs a bench. Whatever it kept is stopped in reverse order when it ends, fails, is interrupted, or is still
 * running after `secondsMax`. A failure is one line and ends the process with 1.
 */
export async function inScope<T>(secondsMax: number, bench: (scope: Scope) => Promise<T>): Promise<T> {
  const stops: Stop[] = [];
  let isOver = false;
  const over = Promise.withResolvers<never>();
  const late = setTimeout(() => over.reject(new Error(`not done after ${secondsMax} s`)), secondsMax * 1000);
  // `on`, not `once`: Ctrl-C comes from the terminal and from the parent, and cleaning up has to survive both.
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
    // A bench that was interrupted may keep something even now.
    while (stops.length > 0) await tryTo(stops.shift()!);
    for (const signal of SIGNALS) process.off(signal, interrupt);
  }
  console.error(`cannot measure: ${messageOf(failure)}`);
  process.exit(1);
}

/** One part that does not stop must not keep the others from it. */
async function tryTo(stop: Stop): Promise<void> {
  try {
    await stop();
  } catch (error) {
    console.error(`not stopped: ${messageOf(error)}`);
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
