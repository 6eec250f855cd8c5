import type { Context } from "hono";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import { REFUSALS, type Refusal } from "../shared/refusal.ts";
import type { Admin } from "./admin/authenticate.ts";
import type { Deps } from "./deps.ts";

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

const RETRY_AFTER_SECONDS = 5;

/** A fault of ours or of what we depend on: a fixed text, and the invitation to come again. */
export function unavailable(c: Context<Env>) {
  c.header("retry-after", String(RETRY_AFTER_SECONDS));
  return problem(c, 503, "edge.unavailable", "Try again shortly");
}
