import type { ExecutionContext } from "hono";
import { type Refusal, refuse } from "../shared/refusal.ts";
import { recordOfflineReleases } from "./admin/release-code.ts";
import { limitHeaders, noteRefusal, problemOf, unavailableOf } from "./answer.ts";
import type { Deps } from "./deps.ts";
import { type Admitted, admit, checkIsolation } from "./ingest.ts";
import type { IngestSpan } from "./instruments.ts";
import type { WaitUntil } from "./open-actions.ts";
import { type RateLimit, rateLimitHeader, type Taken } from "./rate-limit.ts";

export const HEARTBEATS_PATH = "/v1/heartbeats";

/**
 * Answers `POST /v1/heartbeats`: 202 once the queue has it, the refusal, or 503 for a fault of ours. From a web
 * Request to a Response with no context between: the framework's share was as large as that of the authentication.
 */
export function createHeartbeats(
  deps: Deps,
): (request: Request, context?: ExecutionContext) => Promise<Response> {
  return async function takeHeartbeat(request, context) {
    const startedAtMs = deps.clock();
    const requestId = deps.requestId();
    const waitUntil = context && ((work: Promise<unknown>) => context.waitUntil(work));
    const response = await answer(request, requestId, waitUntil, deps);
    deps.instruments.answered(HEARTBEATS_PATH, response.status, deps.clock() - startedAtMs);
    return response;
  };
}

async function answer(
  request: Request,
  requestId: string,
  waitUntil: WaitUntil | undefined,
  deps: Deps,
): Promise<Response> {
  const startedAtMs = deps.clock();
  let span: IngestSpan | undefined;
  try {
    const admitted = await admit(request, deps); // cheap checks first, the signature after
    // Only who is authentic decides whether it is traced: anybody else could make every request a span.
    span = deps.instruments.startIngest(admitted.ok ? request.headers.get("traceparent") : null, startedAtMs);
    if (!admitted.ok) {
      span.end({ refused: admitted.code });
      return refused(requestId, admitted, deps);
    }
    const response = await takeIn(admitted.value, { requestId, trace: span.traceparent, waitUntil }, deps);
    span.end({ tenantId: admitted.value.tenantId });
    return response;
  } catch (fault) {
    (span ?? deps.instruments.startIngest(null, startedAtMs)).end({ fault });
    deps.log("error", "request.failed", { requestId, path: HEARTBEATS_PATH, error: fault });
    return unavailableOf(requestId);
  }
}

type Asked = { requestId: string; trace: string | undefined; waitUntil: WaitUntil | undefined };

/** An authentic heartbeat: within its quotas, not of a revoked asset, on the queue, answered. */
async function takeIn(admitted: Admitted, { requestId, trace, waitUntil }: Asked, deps: Deps) {
  const { tenantId, entry } = admitted;
  const device = deps.limits.device.take(entry.assetId);
  if (!device.allowed) return tooMany(requestId, deps.limits.device, device, deps);
  const tenant = deps.limits.tenant.take(tenantId);
  if (!tenant.allowed) return tooMany(requestId, deps.limits.tenant, tenant, deps);
  const action = (await deps.openActions.of(tenantId, waitUntil)).get(entry.assetId);
  const told = checkIsolation(admitted, action, deps.clock());
  if (!told.ok) return refused(requestId, told, deps);
  await deps.enqueue(tenantId, trace === undefined ? entry : { ...entry, trace }); // 202 only once the queue has it
  if (action?.isFreedUnrecorded) await recordOfflineReleases(tenantId, entry.assetId, deps);
  const headers = {
    "content-type": "application/json",
    ratelimit: rateLimitHeader(deps.limits.device, device),
    "x-request-id": requestId,
    "x-content-type-options": "nosniff",
  };
  return new Response(JSON.stringify(told.value), { status: 202, headers });
}

function refused(requestId: string, refusal: Refusal, deps: Deps, headers?: Record<string, string>) {
  const { status, title, detail } = noteRefusal({ requestId, path: HEARTBEATS_PATH }, refusal, deps);
  return problemOf(requestId, status, refusal.code, title, { more: detail, ...(headers && { headers }) });
}

const tooMany = (requestId: string, limit: RateLimit, taken: Taken, deps: Deps) =>
  refused(requestId, refuse("wire.too-many", limit.name), deps, limitHeaders(limit, taken));
