import type { Deps } from "./deps.ts";
import type { Load } from "./in-flight-limit.ts";
import { receiveOnce } from "./process-batch.ts";

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

/** A batch that takes longer is settled beside the next receives: a slow asset does not hold the receiver. */
const SLOW_BATCH_MS = 1000;

/**
 * Receives until the signal aborts, then finishes what was received. A fault pauses this receiver, longer each time
 * and with jitter, and never ends it.
 */
export async function receiveUntilStopped(
  deps: Deps,
  stop: AbortSignal,
  load: Load,
  { random, sleep, onProgress }: Waits,
): Promise<void> {
  const underWay = new Set<Promise<unknown>>();
  let pauseMs = PAUSE_MS_MIN;
  const pause = () => {
    const waitMs = pauseMs * (0.5 + random());
    pauseMs = Math.min(pauseMs * 2, PAUSE_MS_MAX);
    return waitMs;
  };
  const noteFault = (error: unknown): number => {
    deps.metrics.count("receives_failed_total");
    const waitMs = pause();
    deps.log("error", "poll.failed", { waitMs: Math.round(waitMs), error });
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
      const { settled } = await receiveOnce(deps, stop, load, { onReceived, onAsset: onProgress, onFailed });
      const done = settled
        .then(onProgress, (error) => void noteFault(error))
        .finally(() => underWay.delete(done));
      underWay.add(done);
      await within(SLOW_BATCH_MS, done);
      if (failed * 2 > received) {
        await sleep(pause(), stop); // each receive counts against a message: leave them in the queue for longer
        continue;
      }
      pauseMs = PAUSE_MS_MIN;
      if (received > 0 && received < FULL_RECEIVE) await sleep(GATHER_MS, stop);
    } catch (error) {
      if (stop.aborted) break;
      await sleep(noteFault(error), stop);
    }
  }
  await Promise.all(underWay);
}

/** Resolves with the work, or after that time at the latest. */
async function within(ms: number, work: Promise<unknown>): Promise<void> {
  const late = Promise.withResolvers<void>();
  const timer = setTimeout(late.resolve, ms);
  await Promise.race([work, late.promise]).finally(() => clearTimeout(timer));
}
