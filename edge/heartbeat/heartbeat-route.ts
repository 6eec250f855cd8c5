import type { ExecutionContext } from "hono";
import { type Refusal, refuse } from "../../shared/verdict.ts";
import { LIMITS } from "../../shared/wire/heartbeat.ts";
import type { SessionKeyId } from "../../shared/wire/keyid.ts";
import type { Deps } from "../deps.ts";
import { limitHeaders, noteRefusal, problemOf, unavailableOf } from "../http/problem-response.ts";
import { type RateLimit, rateLimitHeader, type Taken } from "../http/rate-limit.ts";
import type { IngestSpan } from "../platform/telemetry.ts";
import { type Admitted, authenticate, checkIsolation, validate } from "./admit-heartbeat.ts";
import type { WaitUntil } from "./pending-actions.ts";

/** Writes into the custody log that this host was freed with a code. Never throws. */
export type RecordRelease = (tenantId: string, assetId: string) => Promise<void>;

export const HEARTBEATS_PATH = "/v1/heartbeats";

/**
 * Answers `POST /v1/heartbeats`: 202 once the queue has it, the refusal, or 503 for a fault of ours. From a web
 * Request to a Response with no context between: the framework's share was as large as that of the authentication.
 */
export function createHeartbeats(
  deps: Deps,
  recordRelease: RecordRelease,
): (request: Request, context?: ExecutionContext) => Promise<Response> {
  return async function takeHeartbeat(request, context) {
    const startedAtMs = deps.clock();
    const requestId = deps.requestId();
    const waitUntil = context && ((work: Promise<unknown>) => context.waitUntil(work));
    const response = await answer(request, { requestId, waitUntil, recordRelease }, deps);
    deps.instruments.answered(HEARTBEATS_PATH, response.status, deps.clock() - startedAtMs);
    return response;
  };
}

type Asked = { requestId: string; waitUntil: WaitUntil | undefined; recordRelease: RecordRelease };

async function answer(request: Request, asked: Asked, deps: Deps): Promise<Response> {
  const { requestId } = asked;
  const startedAtMs = deps.clock();
  let span: IngestSpan | undefined;
  try {
    const authentic = await authenticate(request, LIMITS.BODY_BYTES_MAX, deps); // cheap checks first, the signature after
    // Only who is authentic decides whether it is traced: anybody else could make every request a span.
    span = deps.instruments.startIngest(
      authentic.ok ? request.headers.get("traceparent") : null,
      startedAtMs,
    );
    if (!authentic.ok) {
      span.end({ refused: authentic.code });
      return refused(requestId, authentic, deps);
    }
    // Before it is validated: one that is malformed has cost as much.
    const counted = count(authentic.value.session.id, deps);
    if ("limit" in counted) {
      span.end({ refused: "wire.too-many" });
      return tooMany(requestId, counted, deps);
    }
    const admitted = validate(authentic.value, deps);
    if (!admitted.ok) {
      span.end({ refused: admitted.code });
      return refused(requestId, admitted, deps);
    }
    const within = { ...asked, device: counted.device, trace: span.traceparent };
    const response = await takeIn(admitted.value, within, deps);
    span.end({ tenantId: admitted.value.tenantId });
    return response;
  } catch (fault) {
    (span ?? deps.instruments.startIngest(null, startedAtMs)).end({ fault });
    deps.log("error", "request.failed", { requestId, path: HEARTBEATS_PATH, error: fault });
    return unavailableOf(requestId);
  }
}

type Beyond = { limit: RateLimit; taken: Taken };

/** Takes one of the quotas of asset and tenant. Gives what the asset has left, or the quota it is beyond. */
function count({ assetId, tenantId }: SessionKeyId, { limits }: Deps): { device: Taken } | Beyond {
  const device = limits.device.take(assetId);
  if (!device.allowed) return { limit: limits.device, taken: device };
  const tenant = limits.tenant.take(tenantId);
  return tenant.allowed ? { device } : { limit: limits.tenant, taken: tenant };
}

type Within = Asked & { device: Taken; trace: string | undefined };

/** A heartbeat within its quotas: not of a revoked asset, on the queue, answered. */
async function takeIn(admitted: Admitted, within: Within, deps: Deps) {
  const { requestId, device, trace, waitUntil, recordRelease } = within;
  const { tenantId, entry } = admitted;
  const action = (await deps.openActions.of(tenantId, waitUntil)).get(entry.assetId);
  const told = checkIsolation(admitted, action, deps.clock());
  if (!told.ok) return refused(requestId, told, deps);
  await deps.enqueue(tenantId, trace === undefined ? entry : { ...entry, trace }); // 202 only once the queue has it
  if (action?.isFreedUnrecorded) await recordRelease(tenantId, entry.assetId);
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

const tooMany = (requestId: string, { limit, taken }: Beyond, deps: Deps) =>
  refused(requestId, refuse("wire.too-many", limit.name), deps, limitHeaders(limit, taken));
