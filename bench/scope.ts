/** What a bench has started and must not leave behind. */
export type Scope = { keep: (stop: () => Promise<unknown> | unknown) => void };

/**
 * Runs a bench. Whatever it kept is stopped in reverse order when it ends, fails, is interrupted, or is still
 * running after `secondsMax`. A failure is one line and ends the process with 1.
 */
export async function inScope<T>(secondsMax: number, bench: (scope: Scope) => Promise<T>): Promise<T> {
  const stops: (() => Promise<unknown> | unknown)[] = [];
  const over = Promise.withResolvers<never>();
  const late = setTimeout(() => over.reject(new Error(`not done after ${secondsMax} s`)), secondsMax * 1000);
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    // `on`, not `once`: Ctrl-C comes from the terminal and from the parent, and cleaning up has to survive both.
    process.on(signal, () => over.reject(new Error(`stopped by ${signal}`)));
  }
  let failure: unknown;
  try {
    return await Promise.race([bench({ keep: (stop) => void stops.unshift(stop) }), over.promise]);
  } catch (error) {
    failure = error;
  } finally {
    clearTimeout(late);
    for (const stop of stops) await stop();
  }
  console.error(`cannot measure: ${failure instanceof Error ? failure.message : failure}`);
  process.exit(1);
}
