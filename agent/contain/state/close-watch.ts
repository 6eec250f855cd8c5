/** Time after a repair in which the isolation is checked more often: it may be altered again. */
const CLOSE_MS = 30_000;
/** Shortest pause between two of these checks. */
const CLOSE_EVERY_MS = 250;
/** A pause is at least this many times as long as the check before it, which limits the CPU time. */
const PAUSE_PER_CHECK = 4;

export type CloseWatchDeps = {
  /** Checks the isolation and restores what was altered. */
  check: (signal: AbortSignal) => Promise<void>;
  /** Milliseconds since this process started, by a monotonic clock. */
  elapsed: () => number;
  sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  signal: AbortSignal;
};

export type CloseWatch = {
  /** Call after a repair: checks more often from now on, for the full time. */
  begin: () => void;
};

/** Checks rules more often while they are being tampered with, so that an altered rule is restored sooner. */
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
