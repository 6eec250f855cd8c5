import type { Deps } from "./deps.ts";
import type { Load } from "./load.ts";
import { pollOnce } from "./poll.ts";

const PAUSE_MS_MIN = 200;
const PAUSE_MS_MAX = 20_000;

type Waits = {
  random: () => number;
  /** Ends early when the signal says so. */
  sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  /** Told after each round that got an answer: the worker lives. */
  onProgress: () => void;
};

/**
 * Receives until told to stop. A fault pauses this receiver, longer each time and never twice the same, and never
 * ends it: whatever is away may come back.
 */
export async function receiveUntilStopped(
  deps: Deps,
  stop: AbortSignal,
  load: Load,
  { random, sleep, onProgress }: Waits,
): Promise<void> {
  let pauseMs = PAUSE_MS_MIN;
  while (!stop.aborted) {
    try {
      await pollOnce(deps, stop, load, onProgress);
      onProgress();
      pauseMs = PAUSE_MS_MIN;
    } catch (error) {
      if (stop.aborted) break;
      deps.metrics.count("receives_failed_total");
      const waitMs = pauseMs * (0.5 + random());
      deps.log("error", "poll.failed", { waitMs: Math.round(waitMs), error });
      await sleep(waitMs, stop);
      pauseMs = Math.min(pauseMs * 2, PAUSE_MS_MAX);
    }
  }
}
