/** After a repair the isolation is looked at more often for so long: whoever altered it may do so again. */
export const CLOSE_MS = 30_000;
/** Pause between two such looks. */
export const CLOSE_EVERY_MS = 250;
/** Each pause is at least this many times as long as the look before it, which bounds the CPU time. */
export const PAUSE_PER_LOOK = 4;

export type CloseWatchDeps = {
  /** Looks at the isolation and puts back what was altered. */
  look: (signal: AbortSignal) => Promise<void>;
  /** Milliseconds that this process ran, by a monotonic clock. */
  elapsed: () => number;
  sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  signal: AbortSignal;
};

export type CloseWatch = {
  /** Something was altered and put back: begins to look more often, or goes on for the full time. */
  begin: () => void;
};

/** Checks rules more often while they are being tampered with, so that an altered rule is restored sooner. */
export function createCloseWatch({ look, elapsed, sleep, signal }: CloseWatchDeps): CloseWatch {
  let untilMs = Number.NEGATIVE_INFINITY;
  let isRunning = false;

  async function run(): Promise<void> {
    isRunning = true;
    let lookMs = 0;
    while (elapsed() < untilMs && !signal.aborted) {
      await sleep(Math.max(CLOSE_EVERY_MS, PAUSE_PER_LOOK * lookMs), signal);
      if (signal.aborted) break;
      const startedAtMs = elapsed();
      await look(signal);
      lookMs = elapsed() - startedAtMs;
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
