/**
 * Time in milliseconds after a repair in which the isolation is checked more often, because it may be
 * modified again.
 */
const CLOSE_MS = 30_000;
/** Minimum pause in milliseconds between two of these frequent checks. */
const CLOSE_EVERY_MS = 250;
/** Minimum ratio of a pause to the duration of the previous check. It limits the CPU time of the checks. */
const PAUSE_PER_CHECK = 4;

export type CloseWatchDeps = {
  /** Checks the isolation and restores modified parts. */
  check: (signal: AbortSignal) => Promise<void>;
  /** Milliseconds since this process started, by a monotonic clock. */
  elapsed: () => number;
  sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  signal: AbortSignal;
};

export type CloseWatch = {
  /** Call after a repair. Starts the period of frequent checks, or starts it again. */
  begin: () => void;
};

/** Checks rules more often after a repair, so that a repeated modification is restored sooner. */
export function createCloseWatch({ check, elapsed, sleep, signal }: CloseWatchDeps): CloseWatch {
  let untilMs = Number.NEGATIVE_INFINITY;
  let isRunning = false;

  async function run(): Promise<void> {
    isRunning = true;
    let checkMs = 0;
    while (elapsed() < untilMs && !signal.aborted) {
      await sleep(Math.max(CLOSE_EVERY_MS, PAUSE_PER_CHECK * checkMs), signal);
      if (signal.aborted) break;
      const startedAtMs = elapsed();
      await check(signal);
      checkMs = elapsed() - startedAtMs;
    }
    isRunning = false;
  }

  return {
    begin: () => {
      untilMs = elapsed() + CLOSE_MS;
      if (!isRunning) void run();
    },
  };
}
