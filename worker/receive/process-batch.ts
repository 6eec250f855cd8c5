import { sleep } from "../../shared/time/sleep.ts";
import type { Message } from "../heartbeat/queue-message.ts";
import { openedBytes } from "../heartbeat/verify-message.ts";
import type { Deps } from "./deps.ts";
import type { InFlightLimit } from "./in-flight-limit.ts";
import { settleBatch } from "./settle-batch.ts";

/** Default of {@link Deps.visibilitySeconds}. It equals the visibility timeout of the queue in deploy/aws.yaml. */
export const VISIBILITY_SECONDS = 60;
/**
 * Delay of the first extension. It is short because the visibility timeout of the queue can be shorter than
 * the configured one.
 */
const FIRST_EXTENSION_MS = 5000;
/**
 * Maximum time that a message is held. SQS hides a message for at most 12 hours in total, so a message that
 * still cannot be recorded is released before that.
 */
const HOLD_MS_MAX = 11 * 3600 * 1000;
/** Minimum backoff before a retry of work that a dependency refused. */
const RETRY_MS_MIN = 500;
const RETRY_MS_MAX = 30_000;

/** Callbacks that report progress. */
export type Steps = {
  /** Called when a receive has ended. */
  onReceived?: (messages: number) => void;
  /**
   * Called when the heartbeats of one more asset are settled or have failed, and when held messages are about
   * to be retried.
   */
  onAsset?: () => void;
  /** Called with the number of messages that failed and stay in the queue. */
  onFailed?: (messages: number) => void;
};

/**
 * Runs one poll: receives messages, records them and deletes those that were recorded. Receives nothing while
 * the table is unavailable.
 *
 * Messages that a dependency refuses are held and retried here, because each receive counts towards the
 * dead-letter queue. Messages that fail for other reasons stay in the queue and are delivered again.
 *
 * @returns number of settled heartbeats
 */
export async function pollOnce(
  deps: Deps,
  stop: AbortSignal,
  load?: InFlightLimit,
  steps: Steps = {},
): Promise<number> {
  return (await receiveOnce(deps, stop, load, steps)).settled;
}

/** Like {@link pollOnce}, but resolves as soon as messages are received. `settled` resolves when they are settled. */
export async function receiveOnce(
  deps: Deps,
  stop: AbortSignal,
  load?: InFlightLimit,
  steps: Steps = {},
): Promise<{ settled: Promise<number> }> {
  const nothing = { settled: Promise.resolve(0) };
  await load?.waitForCapacity(stop);
  await deps.breaker?.whenAvailable(stop);
  if (stop.aborted) return nothing;
  const messages = await deps.queue.receive(stop);
  steps.onReceived?.(messages.length);
  deps.metrics.gauge("last_poll_seconds", Math.floor(deps.clock() / 1000));
  reportAge(messages, deps);
  if (messages.length === 0) return nothing;
  const bytes = messages.reduce((sum, { body }) => sum + openedBytes(body), 0);
  load?.take(messages.length, bytes);
  reportInFlight(load, deps);
  const settled = settleHeld(messages, deps, stop, steps).finally(() => {
    load?.release(messages.length, bytes);
    reportInFlight(load, deps);
  });
  return { settled };
}

/**
 * Settles messages. Messages that a dependency refuses are retried until it accepts them, or until {@link
 * HOLD_MS_MAX}.
 */
async function settleHeld(
  messages: readonly Message[],
  deps: Deps,
  stop: AbortSignal,
  { onAsset = () => {}, onFailed }: Steps,
): Promise<number> {
  const visible = extendWhileOpen(messages, deps);
  const untilMs = deps.clock() + HOLD_MS_MAX;
  let settled = 0;
  let failed = 0;
  let open: readonly Message[] = messages;
  try {
    for (let waitMs = RETRY_MS_MIN; ; waitMs = Math.min(waitMs * 2, RETRY_MS_MAX)) {
      const outcome = await settleBatch(open, deps, onAsset);
      settled += outcome.heartbeats;
      failed += outcome.failed.length;
      open = outcome.held;
      visible.keep(open);
      if (open.length === 0) return settled;
      deps.log("warn", "messages.held", { messages: open.length });
      deps.metrics.count("messages_held_total", open.length);
      await deps.breaker?.whenAvailable(stop);
      await (deps.sleep ?? sleep)(waitMs * (0.5 + (deps.random?.() ?? 0.5)), stop);
      onAsset();
      if (stop.aborted || deps.clock() >= untilMs) {
        failed += open.length;
        return settled;
      }
    }
  } finally {
    visible.stop();
    if (failed > 0) onFailed?.(failed);
  }
}

function reportInFlight(load: InFlightLimit | undefined, deps: Deps): void {
  if (!load) return;
  const { messages, bytes } = load.now();
  deps.metrics.gauge("in_flight_messages", messages);
  deps.metrics.gauge("in_flight_bytes", bytes);
}

function reportAge(messages: readonly Message[], deps: Deps): void {
  deps.metrics.count("messages_received_total", messages.length);
  const oldestMs = messages.reduce(
    (least, { sentAtMs }) => (sentAtMs > 0 ? Math.min(least, sentAtMs) : least),
    Number.POSITIVE_INFINITY,
  );
  const ageMs = Number.isFinite(oldestMs) ? Math.max(0, deps.clock() - oldestMs) : 0;
  deps.metrics.gauge("queue_age_seconds", ageMs / 1000);
}

/** Extends the visibility timeout until the messages are settled, so that slow work is not delivered twice. */
function extendWhileOpen(messages: readonly Message[], deps: Deps) {
  const seconds = deps.visibilitySeconds ?? VISIBILITY_SECONDS;
  const everyMs = (seconds * 1000) / 3;
  let open = messages;
  let timer = setTimeout(extend, Math.min(everyMs, FIRST_EXTENSION_MS));
  function extend(): void {
    timer = setTimeout(extend, everyMs);
    deps.metrics.count("messages_extended_total", open.length);
    deps.queue.extend(open, seconds).catch((error: unknown) => {
      deps.log("warn", "message.not-extended", { messages: open.length, error });
    });
  }
  return {
    keep(messages: readonly Message[]) {
      open = messages;
    },
    stop: () => clearTimeout(timer),
  };
}
