/** Retries requests whose response has a Retry-After header (RFC 9110 §10.2.3), or status 429. */

import type { Clock } from "../../shared/time/clock.ts";
import type { Send } from "./simulated-agents.ts";

/**
 * Maximum wait before a retry, in seconds. A longer wait means an outage, so the response is returned to the
 * operator.
 */
const WAIT_SECONDS_MAX = 60;
/**
 * Maximum total wait for one request, in seconds. It is less than 300 s, after which the edge rejects the
 * signature as stale.
 */
const TOTAL_SECONDS_MAX = 240;
const WAIT_SECONDS_DEFAULT = 1;

export type RetryDeps = {
  clock: Clock;
  /** Resolves after `ms` milliseconds, or when the command is stopped. */
  pause: (ms: number) => Promise<void>;
  stop: AbortSignal;
};

/**
 * Creates a `send` that retries a request while its responses ask for it and the waits stay within the limits
 * above. Resolves with the last response. Use it only for idempotent requests.
 */
export function withRetries(send: Send, { clock, pause, stop }: RetryDeps): Send {
  return async (request) => {
    for (let waitedSeconds = 0; ; ) {
      const answer = await send(request.clone());
      const seconds = waitSeconds(answer, clock());
      if (seconds === undefined || waitedSeconds + seconds > TOTAL_SECONDS_MAX || stop.aborted) return answer;
      waitedSeconds += seconds;
      await answer.body?.cancel();
      await pause(seconds * 1000);
    }
  };
}

/** Seconds to wait before a retry. Undefined if the response asks for no retry or the wait is too long. */
function waitSeconds({ status, headers }: Response, nowMs: number): number | undefined {
  const asked = retryAfterSeconds(headers.get("retry-after"), nowMs);
  if (status !== 429 && !(status === 503 && asked !== undefined)) return undefined;
  const seconds = asked ?? WAIT_SECONDS_DEFAULT;
  return seconds <= WAIT_SECONDS_MAX ? seconds : undefined;
}

/**
 * Parses a Retry-After header, which contains seconds or a date. Returns at least 1 second. Undefined for any
 * other text.
 */
export function retryAfterSeconds(header: string | null, nowMs: number): number | undefined {
  if (header === null) return undefined;
  if (/^\d{1,9}$/.test(header)) return Math.max(1, Number(header));
  const at = Date.parse(header);
  return Number.isNaN(at) ? undefined : Math.max(1, Math.ceil((at - nowMs) / 1000));
}
