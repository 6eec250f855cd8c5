import { isDirectiveDue } from "../../shared/containment/containment-state.ts";
import type { Entry } from "../../shared/queue/message.ts";
import { timestamp } from "../../shared/time/clock.ts";
import { accept, refuse, type Verdict } from "../../shared/verdict.ts";
import { type HeartbeatAnswer, heartbeat, LIMITS } from "../../shared/wire/heartbeat.ts";
import { isFresh, parseSignature, signatureBase } from "../../shared/wire/signature.ts";
import { invalidPathOf, parseJsonText } from "../http/parse-json.ts";
import { readBody } from "../http/read-body.ts";
import type { HeartbeatDeps } from "./deps.ts";
import type { PendingAction } from "./read-pending-actions.ts";
import type { SessionKey } from "./session-key-cache.ts";

/**
 * A valid heartbeat. `provenGeneration` is the generation of the newest directive that the agent reported as
 * applied.
 */
export type Admitted = { tenantId: string; entry: Entry<Uint8Array<ArrayBuffer>>; provenGeneration: number };

/** A body whose signature with the session key was verified. `session` contains the tenant and the asset. */
export type Authentic = {
  keyid: string;
  session: SessionKey;
  body: Uint8Array<ArrayBuffer>;
  receivedAtMs: number;
};

/**
 * Authenticates a request that was signed with a session key (RFC 9421). Cheap checks come first, followed by
 * the signature over method, path and digest. The body is read last, so that a forged request uses no memory.
 *
 * @returns `wire.unsigned`, `wire.stale`, `wire.bad-signature` or `wire.session-expired`, or the refusal of
 * the body
 */
export async function authenticate(
  request: Request,
  bodyBytesMax: number,
  deps: HeartbeatDeps,
): Promise<Verdict<Authentic>> {
  const signed = parseSignature(request.headers, "hmac-sha256");
  if (!signed.ok) return signed;
  const now = deps.clock();
  if (!isFresh(signed.value.createdSeconds, now, LIMITS.CLOCK_SKEW_SECONDS_MAX)) return refuse("wire.stale");
  const session = await deps.sessionKeys.find(signed.value.keyid);
  if (!session) return refuse("wire.bad-signature");
  if (!(session.id.expiresAtSeconds > now / 1000)) return refuse("wire.session-expired");

  const digest = request.headers.get("content-digest");
  if (digest === null) return refuse("wire.bad-signature");
  const base = signatureBase(
    { method: request.method, path: pathOf(request.url), digest },
    signed.value.parameters,
  );
  if (!(await session.key.verify(base, signed.value.signature))) return refuse("wire.bad-signature");
  deps.sessionKeys.keep(signed.value.keyid, session);

  const body = await readBody(request, bodyBytesMax, deps.timesOutSlowBodies);
  if (!body.ok) return body;
  if (digest !== (await deps.hashing.contentDigest(body.value))) return refuse("wire.bad-signature");
  return accept({ keyid: signed.value.keyid, session, body: body.value, receivedAtMs: now });
}

/** The request path (`@path`) as sent by the client (RFC 9421 §2.2.6). Creating a URL object would cost more CPU. */
export function pathOf(url: string): string {
  const start = url.indexOf("/", url.indexOf("//") + 2);
  const query = url.indexOf("?", start);
  return query < 0 ? url.slice(start) : url.slice(start, query);
}

/**
 * Characters that a queue message cannot contain: noncharacters, which SQS rejects, and line breaks, because
 * a pack contains one heartbeat per line.
 */
const UNQUEUEABLE = /[\n\r\ufffe\uffff]/;

/**
 * Validates the body against the heartbeat schema, unless the same state was already validated in this
 * session. Tenant and asset come from the verified keyid and never from the body.
 */
export function validate(
  { body, keyid, session, receivedAtMs }: Authentic,
  deps: HeartbeatDeps,
): Verdict<Admitted> {
  const { tenantId, assetId } = session.id;
  const entry = { assetId, receivedAt: timestamp(receivedAtMs), body };
  const seen = deps.validatedStates.recognise(keyid, body);
  if (seen !== undefined) return accept({ tenantId, entry, provenGeneration: seen });
  const read = parseJsonText(body);
  if (!read.ok) return read;
  const { text, json } = read.value;
  if (UNQUEUEABLE.test(text)) return refuse("wire.malformed", "the body must be one line of JSON");
  const parsed = heartbeat.safeParse(json);
  if (!parsed.success) {
    return refuse("wire.malformed", invalidPathOf(parsed.error));
  }
  const provenGeneration = parsed.data.containment.generation;
  deps.validatedStates.remember(keyid, body, { text, json, provenGeneration });
  return accept({ tenantId, entry, provenGeneration });
}

/**
 * Builds the response to an accepted heartbeat. The response contains the directive until the agent reports
 * the directive's generation as applied.
 *
 * @returns `asset.revoked` for a revoked asset
 */
export function checkIsolation(
  { entry, provenGeneration }: Admitted,
  action: PendingAction | undefined,
  nowMs: number,
): Verdict<HeartbeatAnswer> {
  const { receivedAt } = entry;
  if (action === undefined) return accept({ receivedAt });
  if (action.revoked) return refuse("asset.revoked");
  const isDue = action.directive !== undefined && isDirectiveDue(action, provenGeneration, nowMs);
  return accept(isDue ? { receivedAt, directive: action.directive! } : { receivedAt });
}
