import { utf8 } from "../../shared/encoding/bytes.ts";
import { messageOf } from "../../shared/observability/error-message.ts";
import type { Clock } from "../../shared/time/clock.ts";
import { DIRECTIVE_PATH } from "../../shared/wire/directive-poll.ts";
import { type Signer, signRequest } from "../../shared/wire/signature.ts";
import { isoTimestamp, tidy } from "../../shared/wire/text.ts";
import { AGENT_VERSION } from "../platform/agent-version.ts";
import type { ControlClock } from "./control-clock.ts";
import type { MESSAGES } from "./messages.ts";

/**
 * URL path for each message. Only messages that `lz-agent explain` and docs/privacy.md list have a path, so
 * no other message can be sent.
 */
export const PATHS = {
  enrolment: "/v1/enroll",
  session: "/v1/session",
  heartbeat: "/v1/heartbeats",
  directive: DIRECTIVE_PATH,
} as const satisfies Record<keyof typeof MESSAGES, string>;

const SEND_TIMEOUT_MS = 10_000;
const ANSWER_BYTES_MAX = 64 * 1024;
const RETRY_AFTER_MS_MAX = 600_000;

export type Answer =
  | {
      kind: "answered";
      status: number;
      body: string;
      /**
       * Error from the edge as `application/problem+json` (RFC 9457). Undefined if the response is not from
       * the edge.
       */
      problem?: Problem;
      retryAfterMs?: number;
    }
  | Unreachable;

/** `timeMs`: the edge's time in epoch milliseconds. Present if the edge rejected a signature because of its time. */
type Problem = { code: string; title: string; detail?: string; timeMs?: number };

export type Unreachable = { kind: "unreachable"; reason: string };

export type PostDeps = {
  edgeUrl: string;
  fetch: (url: string, init: RequestInit) => Promise<Response>;
  clock: ControlClock;
  /** The wall clock of this host. */
  wallClock: Clock;
};

export type Post = {
  /**
   * POSTs `body`, which contains a `message`, with a new signature from `signer`. Never throws. Returns a
   * failure as {@link Unreachable}. The default of `timeoutMs` is {@link SEND_TIMEOUT_MS}.
   */
  send: (
    message: keyof typeof PATHS,
    body: string,
    signer: Signer,
    signal: AbortSignal,
    timeoutMs?: number,
  ) => Promise<Answer>;
  /**
   * Corrects the clock with the time in the last response. Returns false if the response contained no time or
   * the clock is already correct.
   */
  correctClock: () => boolean;
  /** Clock with the estimated time of the control plane. */
  clock: Clock;
};

/** Sends signed messages to the control plane. */
export function createPost(deps: PostDeps): Post {
  let lastTime: { controlMs: number; wallMs: number } | undefined;

  async function send(
    message: keyof typeof PATHS,
    body: string,
    signer: Signer,
    signal: AbortSignal,
    timeoutMs = SEND_TIMEOUT_MS,
  ): Promise<Answer> {
    const bytes = utf8(body);
    const path = PATHS[message];
    const signed = await signRequest(
      signer,
      { method: "POST", path, body: bytes },
      Math.floor(deps.clock.now() / 1000),
    );
    return withTimeout(signal, timeoutMs, async (bounded) => {
      const response = await deps.fetch(deps.edgeUrl + path, {
        method: "POST",
        body: bytes,
        headers: { ...signed, "content-type": "application/json", "user-agent": `lz-agent/${AGENT_VERSION}` },
        // Follow no redirects, because the signature is valid for one address only. The edge never redirects,
        // so a redirect comes from another server.
        redirect: "manual",
        signal: bounded,
      });
      const wallMs = deps.wallClock();
      const date = Date.parse(response.headers.get("date") ?? "");
      const answer = await readAnswer(response, Number.isFinite(date) ? date : deps.clock.now());
      // Prefer the time in the body, because a proxy may have written the Date header, and workerd sends no
      // Date header.
      const controlMs = answer.problem?.timeMs ?? date;
      lastTime = Number.isFinite(controlMs) ? { controlMs, wallMs } : undefined;
      return answer;
    });
  }

  const correctClock = (): boolean =>
    lastTime !== undefined && deps.clock.learn(lastTime.controlMs, lastTime.wallMs);

  return { send, correctClock, clock: deps.clock.now };
}

/**
 * Runs `work` with a signal that aborts with the caller's signal or after `timeoutMs`. Returns a failure as
 * {@link Unreachable}.
 */
export async function withTimeout<T>(
  signal: AbortSignal,
  timeoutMs: number,
  work: (bounded: AbortSignal) => Promise<T>,
): Promise<T | Unreachable> {
  // Do not use AbortSignal.any, which keeps the signal of every request in memory while the daemon's own
  // signal exists.
  const controller = new AbortController();
  let reason = "the connection failed";
  const abort = (why: string): void => {
    reason = why;
    controller.abort();
  };
  const stop = (): void => abort("stopping");
  const timer = setTimeout(() => abort(`no response within ${timeoutMs / 1000} s`), timeoutMs);
  signal.addEventListener("abort", stop, { once: true });
  try {
    if (signal.aborted) return { kind: "unreachable", reason: "stopping" };
    return await work(controller.signal);
  } catch (cause) {
    if (controller.signal.aborted) return { kind: "unreachable", reason };
    return { kind: "unreachable", reason: tidy(messageOf(cause, reason), 200) };
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", stop);
  }
}

async function readAnswer(response: Response, nowMs: number): Promise<Answer & { kind: "answered" }> {
  const body = await readBounded(response, ANSWER_BYTES_MAX);
  const retryAfterMs = parseRetryAfter(response.headers.get("retry-after"), nowMs);
  return {
    kind: "answered",
    status: response.status,
    body,
    ...problemOf(response.headers.get("content-type") ?? "", body),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  };
}

export async function readBounded(response: Response, bytesMax: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > bytesMax) throw new Error(`the response is larger than ${bytesMax} bytes`);
    chunks.push(chunk);
  }
  return new TextDecoder().decode(Buffer.concat(chunks));
}

function problemOf(contentType: string, body: string): Pick<Answer & { kind: "answered" }, "problem"> {
  if (!/^application\/problem\+json\b/i.test(contentType)) return {};
  const value = parseJson(body);
  if (typeof value !== "object" || value === null || !("code" in value) || typeof value.code !== "string")
    return {};
  const title = "title" in value && typeof value.title === "string" ? value.title : "refused";
  const detail =
    "detail" in value && typeof value.detail === "string" ? { detail: tidy(value.detail, 300) } : {};
  const time = "time" in value ? isoTimestamp.safeParse(value.time) : undefined;
  const timeMs = time?.success ? { timeMs: Date.parse(time.data) } : {};
  return { problem: { code: tidy(value.code, 60), title: tidy(title, 200), ...detail, ...timeMs } };
}

/**
 * Parses JSON. Undefined if the text is not JSON. Check the value with a schema, because a response can
 * contain anything.
 */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/**
 * Delay in milliseconds from a Retry-After header (RFC 9110 §10.2.3: seconds or a date). The delay has a
 * maximum, so that no response can silence an agent for days.
 */
export function parseRetryAfter(value: string | null, nowMs: number): number | undefined {
  if (value === null) return undefined;
  const ms = /^\d{1,9}$/.test(value) ? Number(value) * 1000 : Date.parse(value) - nowMs;
  return ms >= 0 ? Math.min(ms, RETRY_AFTER_MS_MAX) : undefined;
}
