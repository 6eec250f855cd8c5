import type { Context } from "hono";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import { timestamp } from "../../shared/time/clock.ts";
import { REFUSALS, type Refusal, refuse } from "../../shared/verdict.ts";
import type { Env } from "../request-env.ts";
import type { HttpDeps } from "./deps.ts";
import { EDGE_PROBLEMS, type EdgeProblemCode } from "./edge-problems.ts";
import { type RateLimit, rateLimitHeader, rateLimitPolicyHeader, type Taken } from "./rate-limit.ts";

/** Builds a problem document (RFC 9457). Its request id is also in the log line of the request. */
function problem(c: Context<Env>, status: ContentfulStatusCode, code: string, title: string, more = {}) {
  const text = problemText(c.var.requestId, status, code, title, more);
  return c.body(text, { status, headers: PROBLEM_HEADERS });
}

/** Like {@link problem}, with an error code of the edge. A given `title` replaces the default title of the code. */
export function edgeProblem(c: Context<Env>, code: EdgeProblemCode, title?: string, more = {}) {
  const known = EDGE_PROBLEMS[code];
  return problem(c, known.status, code, title ?? known.title, more);
}

const PROBLEM_HEADERS = { "content-type": "application/problem+json", "cache-control": "no-store" };

const problemText = (requestId: string, status: number, code: string, title: string, more: object) =>
  JSON.stringify({ type: "about:blank", status, code, title, requestId, ...more });

/** Like {@link problem}, for code without a Hono context. */
export function problemOf(
  requestId: string,
  status: number,
  code: string,
  title: string,
  { more = {}, headers = {} }: { more?: object; headers?: Record<string, string> } = {},
): Response {
  return new Response(problemText(requestId, status, code, title, more), {
    status,
    headers: {
      ...PROBLEM_HEADERS,
      "x-request-id": requestId,
      "x-content-type-options": "nosniff",
      ...headers,
    },
  });
}

/**
 * Counts a refusal, logs it at the level that its code has, and returns the content of its problem document.
 * For `wire.stale` the document includes the edge's time, so that a host can correct a wrong clock. The
 * `Date` header is not sufficient, because responses of workerd do not have it.
 */
export function noteRefusal(asked: { requestId: string; path: string }, refused: Refusal, deps: HttpDeps) {
  const { status, log, title } = REFUSALS[refused.code];
  const detail = {
    ...(refused.detail !== undefined && { detail: refused.detail }),
    ...(refused.code === "wire.stale" && { time: timestamp(deps.clock()) }),
  };
  deps.instruments.refused(refused.code);
  deps.log(log, "request.refused", { ...asked, code: refused.code, detail: refused.detail });
  return { status, title, detail };
}

export function refusal(
  c: Context<Env>,
  refused: Refusal,
  deps: HttpDeps,
  more: Record<string, unknown> = {},
) {
  const asked = { requestId: c.var.requestId, path: c.req.path };
  const { status, title, detail } = noteRefusal(asked, refused, deps);
  return problem(c, status, refused.code, title, { ...detail, ...more });
}

/** 429 response with headers that show the client when it can retry. */
export function tooMany(c: Context<Env>, limit: RateLimit, taken: Taken, deps: HttpDeps) {
  for (const [name, value] of Object.entries(limitHeaders(limit, taken))) c.header(name, value);
  return refusal(c, refuse("wire.too-many", limit.name), deps);
}

export const limitHeaders = (limit: RateLimit, taken: Taken) => ({
  "retry-after": String(Math.max(1, taken.resetSeconds)),
  ratelimit: rateLimitHeader(limit, taken),
  "ratelimit-policy": rateLimitPolicyHeader(limit),
});

const RETRY_AFTER_SECONDS = 5;

/**
 * 503 response for a fault of the edge or of a service that the edge needs. The text is fixed, so that it
 * reveals no details of the fault.
 */
export function unavailable(c: Context<Env>, more = {}) {
  c.header("retry-after", String(RETRY_AFTER_SECONDS));
  return edgeProblem(c, "edge.unavailable", undefined, more);
}

/** Like {@link unavailable}, for code without a Hono context. */
export function unavailableOf(requestId: string): Response {
  const { status, title } = EDGE_PROBLEMS["edge.unavailable"];
  const headers = { "retry-after": String(RETRY_AFTER_SECONDS) };
  return problemOf(requestId, status, "edge.unavailable", title, { headers });
}
