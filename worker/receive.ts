import type { Deps } from "./deps.ts";
import type { Load } from "./load.ts";
import { pollOnce } from "./poll.ts";

const PAUSE_MS_MIN = 200;
const PAUSE_MS_MAX = 20_000;

/** SQS gives at most so many at once. Fewer say that the queue is empty: the next ones may gather for a moment. */
const FULL_RECEIVE = 10;
/** A receive is billed whether it brings one message or ten, and nobody notices a quarter of a second. */
const GATHER_MS = 250;

type Waits = {
  random: () => number;
  /** Ends early when the signal says so. */
  sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  /** Told after each receive, each asset and each round: the worker lives, however long a slow table makes it work. */
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
  const pause = () => {
    const waitMs = pauseMs * (0.5 + random());
    pauseMs = Math.min(pauseMs * 2, PAUSE_MS_MAX);
    return waitMs;
  };
  while (!stop.aborted) {
    try {
      let received = 0;
      let failed = 0;
      const onReceived = (messages: number) => {
        received = messages;
        onProgress();
      };
      const onFailed = (messages: number) => {
        failed = messages;
      };
      await pollOnce(deps, stop, load, { onReceived, onAsset: onProgress, onFailed });
      onProgress();
      if (failed * 2 > received) {
        // The table is away, it seems. What waits in the queue is safe there, and each receive counts against it.
        await sleep(pause(), stop);
        continue;
      }
      pauseMs = PAUSE_MS_MIN;
      if (received > 0 && received < FULL_RECEIVE) await sleep(GATHER_MS, stop);
    } catch (error) {
      if (stop.aborted) break;
      deps.metrics.count("receives_failed_total");
      const waitMs = pause();
      deps.log("error", "poll.failed", { waitMs: Math.round(waitMs), error });
      await sleep(waitMs, stop);
    }
  }
}
