import type { Deps } from "./deps.ts";
import type { InFlightLimit } from "./in-flight-limit.ts";
import { receiveOnce } from "./process-batch.ts";

const PAUSE_MS_MIN = 200;
const PAUSE_MS_MAX = 20_000;

/**
 * Maximum number of messages per SQS receive. If a receive returns fewer, the queue is empty, so the loop
 * waits {@link GATHER_MS}.
 */
const FULL_RECEIVE = 10;
/** Pause in milliseconds that lets messages accumulate. A receive costs the same with one message as with ten. */
const GATHER_MS = 250;

type Waits = {
  random: () => number;
  /** Sleeps for `ms` milliseconds. Resolves early if the signal aborts. */
  sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  /**
   * Called after each receive, each asset and each poll. It shows that the worker makes progress even if the
   * table is slow.
   */
  onProgress: () => void;
};

/**
 * Maximum wait for a batch before the next receive, in milliseconds. A slower batch continues in parallel, so
 * one slow asset does not block the receiver.
 */
const SLOW_BATCH_MS = 1000;

/**
 * Receives until the signal aborts, then finishes all received messages. An error never ends this receiver:
 * it pauses with exponential backoff and jitter, and then continues.
 */
export async function receiveUntilStopped(
  deps: Deps,
  stop: AbortSignal,
  load: InFlightLimit,
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
        await sleep(pause(), stop); // leave the messages in the queue for longer, because each receive counts towards the dead-letter queue
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

/** Resolves when the work is done, or after `ms` milliseconds at the latest. */
async function within(ms: number, work: Promise<unknown>): Promise<void> {
  const late = Promise.withResolvers<void>();
  const timer = setTimeout(late.resolve, ms);
  await Promise.race([work, late.promise]).finally(() => clearTimeout(timer));
}
