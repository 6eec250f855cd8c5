/** Repeats requests whose answer says when to come back (Retry-After, RFC 9110 §10.2.3). */

import type { Clock } from "../../shared/time/clock.ts";
import type { Send } from "./simulated-agents.ts";

/** A longer wait is an outage that an operator should see. */
const WAIT_SECONDS_MAX = 60;
/** In all, for one request. Below the 300 s after which the edge refuses the request's signature as stale. */
const TOTAL_SECONDS_MAX = 240;
const WAIT_SECONDS_DEFAULT = 1;

export type RetryDeps = {
  clock: Clock;
  /** Resolves after that many milliseconds, or when the command is stopped. */
  pause: (ms: number) => Promise<void>;
  stop: AbortSignal;
};

/**
 * Sends a request again after an answer that asks for it, as long as the waits stay within the bounds above. Resolves with
 * the last answer. Use it only for requests that may be repeated.
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

/** Seconds to wait before the request is worth repeating; undefined when it is not. */
function waitSeconds({ status, headers }: Response, nowMs: number): number | undefined {
  const asked = retryAfterSeconds(headers.get("retry-after"), nowMs);
  if (status !== 429 && !(status === 503 && asked !== undefined)) return undefined;
  const seconds = asked ?? WAIT_SECONDS_DEFAULT;
  return seconds <= WAIT_SECONDS_MAX ? seconds : undefined;
}

/** Seconds of a Retry-After header, at least one; it holds seconds or a date. Undefined for neither. */
export function retryAfterSeconds(header: string | null, nowMs: number): number | undefined {
  if (header === null) return undefined;
  if (/^\d{1,9}$/.test(header)) return Math.max(1, Number(header));
  const at = Date.parse(header);
  return Number.isNaN(at) ? undefined : Math.max(1, Math.ceil((at - nowMs) / 1000));
}
