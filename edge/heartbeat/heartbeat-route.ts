import type { ExecutionContext } from "hono";
import { type Refusal, refuse } from "../../shared/verdict.ts";
import { LIMITS } from "../../shared/wire/heartbeat.ts";
import type { SessionKeyId } from "../../shared/wire/keyid.ts";
import { limitHeaders, noteRefusal, problemOf, unavailableOf } from "../http/problem-response.ts";
import { type RateLimit, rateLimitHeader, type Taken } from "../http/rate-limit.ts";
import type { IngestSpan } from "../platform/telemetry.ts";
import { type Admitted, authenticate, checkIsolation, validate } from "./admit-heartbeat.ts";
import type { HeartbeatDeps } from "./deps.ts";
import type { WaitUntil } from "./pending-actions.ts";

/** Adds a custody record for a host that was released with a release code. Never rejects. */
export type RecordRelease = (tenantId: string, assetId: string) => Promise<void>;

export const HEARTBEATS_PATH = "/v1/heartbeats";

/**
 * Handles `POST /v1/heartbeats`. Responds with 202 after the queue has accepted the heartbeat, with a problem
 * document if the heartbeat is refused, and with 503 on a fault of the edge. Uses web Request and Response
 * without Hono, because routing through Hono cost as much CPU as the authentication
 * (docs/decisions/0014-heartbeats-bypass-the-router.md).
 *
 * @param recordRelease passed as a parameter, because the heartbeat route does not import `control/`
 */
export function createHeartbeats(
  deps: HeartbeatDeps,
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

async function answer(request: Request, asked: Asked, deps: HeartbeatDeps): Promise<Response> {
  const { requestId } = asked;
  const startedAtMs = deps.clock();
  let span: IngestSpan | undefined;
  try {
    const authentic = await authenticate(request, LIMITS.BODY_BYTES_MAX, deps);
    // Ignore the traceparent of unauthenticated requests. Otherwise anyone could make the edge create spans.
    span = deps.instruments.startIngest(
      authentic.ok ? request.headers.get("traceparent") : null,
      startedAtMs,
    );
    if (!authentic.ok) {
      span.end({ refused: authentic.code });
      return refused(requestId, authentic, deps);
    }
    // Count before validation, because a malformed heartbeat costs as much as a valid one.
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

type Exceeded = { limit: RateLimit; taken: Taken };

/**
 * Counts one request against the limits of its asset and its tenant. Returns the remaining quota of the
 * asset, or the exceeded limit.
 */
function count({ assetId, tenantId }: SessionKeyId, { limits }: HeartbeatDeps): { device: Taken } | Exceeded {
  const device = limits.device.take(assetId);
  if (!device.allowed) return { limit: limits.device, taken: device };
  const tenant = limits.tenant.take(tenantId);
  return tenant.allowed ? { device } : { limit: limits.tenant, taken: tenant };
}

type Within = Asked & { device: Taken; trace: string | undefined };

/** Puts a valid heartbeat on the queue and builds the response. Refuses a heartbeat of a revoked asset. */
async function takeIn(admitted: Admitted, within: Within, deps: HeartbeatDeps) {
  const { requestId, device, trace, waitUntil, recordRelease } = within;
  const { tenantId, entry } = admitted;
  const action = (await deps.pendingActions.of(tenantId, waitUntil)).get(entry.assetId);
  const answer = checkIsolation(admitted, action, deps.clock());
  if (!answer.ok) return refused(requestId, answer, deps);
  await deps.enqueue(tenantId, trace === undefined ? entry : { ...entry, trace });
  if (action?.isFreedUnrecorded) await recordRelease(tenantId, entry.assetId);
  const headers = {
    "content-type": "application/json",
    ratelimit: rateLimitHeader(deps.limits.device, device),
    "x-request-id": requestId,
    "x-content-type-options": "nosniff",
  };
  return new Response(JSON.stringify(answer.value), { status: 202, headers });
}

function refused(requestId: string, refusal: Refusal, deps: HeartbeatDeps, headers?: Record<string, string>) {
  const { status, title, detail } = noteRefusal({ requestId, path: HEARTBEATS_PATH }, refusal, deps);
  return problemOf(requestId, status, refusal.code, title, { more: detail, ...(headers && { headers }) });
}

const tooMany = (requestId: string, { limit, taken }: Exceeded, deps: HeartbeatDeps) =>
  refused(requestId, refuse("wire.too-many", limit.name), deps, limitHeaders(limit, taken));
