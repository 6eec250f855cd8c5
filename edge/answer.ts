import type { Context } from "hono";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import { REFUSALS, type Refusal, refuse } from "../shared/refusal.ts";
import type { Admin } from "./admin/authenticate.ts";
import type { Deps } from "./deps.ts";
import { type RateLimit, rateLimitHeader, rateLimitPolicyHeader, type Taken } from "./rate-limit.ts";

/** `admin` is set behind the admin routes and the pages, `requestId` everywhere. */
export type Env = { Variables: { requestId: string; admin: Admin } };

/** RFC 9457. The request id is the only thing that ties an answer to a log line. */
export function problem(
  c: Context<Env>,
  status: ContentfulStatusCode,
  code: string,
  title: string,
  more = {},
) {
  return c.body(
    JSON.stringify({ type: "about:blank", status, code, title, requestId: c.var.requestId, ...more }),
    {
      status,
      headers: { "content-type": "application/problem+json", "cache-control": "no-store" },
    },
  );
}

export function refusal(c: Context<Env>, refused: Refusal, deps: Deps, more: Record<string, unknown> = {}) {
  const { status, log, title } = REFUSALS[refused.code];
  deps.instruments.refused(refused.code);
  deps.log(log, "request.refused", {
    requestId: c.var.requestId,
    path: c.req.path,
    code: refused.code,
    ...(refused.detail !== undefined && { detail: refused.detail }),
  });
  return problem(c, status, refused.code, title, {
    ...(refused.detail !== undefined && { detail: refused.detail }),
    ...more,
  });
}

/** 429 with what the client needs to know to come back in time. */
export function tooMany(c: Context<Env>, limit: RateLimit, taken: Taken, deps: Deps) {
  c.header("retry-after", String(Math.max(1, taken.resetSeconds)));
  c.header("ratelimit", rateLimitHeader(limit, taken));
  c.header("ratelimit-policy", rateLimitPolicyHeader(limit));
  return refusal(c, refuse("wire.too-many", limit.name), deps);
}

const RETRY_AFTER_SECONDS = 5;

/** A fault of ours or of what we depend on: a fixed text, and the invitation to come again. */
export function unavailable(c: Context<Env>) {
  c.header("retry-after", String(RETRY_AFTER_SECONDS));
  return problem(c, 503, "edge.unavailable", "Try again shortly");
}
