import { isDirectiveDue } from "../../shared/containment/containment-state.ts";
import type { Entry } from "../../shared/queue/message.ts";
import { timestamp } from "../../shared/time/clock.ts";
import { accept, refuse, type Verdict } from "../../shared/verdict.ts";
import { type HeartbeatAnswer, heartbeat, LIMITS } from "../../shared/wire/heartbeat.ts";
import { isFresh, parseSignature, signatureBase } from "../../shared/wire/signature.ts";
import type { Deps } from "../deps.ts";
import { parseJsonText, placeOf } from "../http/parse-json.ts";
import { readBody } from "../http/read-body.ts";
import type { OpenAction } from "./pending-actions.ts";
import type { SessionKey } from "./session-key-cache.ts";

/** `provenGeneration`: of the newest directive the agent says it has obeyed. */
export type Admitted = { tenantId: string; entry: Entry<Uint8Array<ArrayBuffer>>; provenGeneration: number };

/** `body` as it was signed by the session of the asset that `session` names. */
export type Authentic = {
  keyid: string;
  session: SessionKey;
  body: Uint8Array<ArrayBuffer>;
  receivedAtMs: number;
};

/**
 * Who sent it: cheap checks first, then the signature, which covers the headers and the digest among them. The body
 * is read last: of a forged request not a byte is taken.
 */
export async function authenticate(
  request: Request,
  bodyBytesMax: number,
  deps: Deps,
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

/** `@path` as it was sent (RFC 9421 §2.2.6), without the cost of a URL object. */
export function pathOf(url: string): string {
  const start = url.indexOf("/", url.indexOf("//") + 2);
  const query = url.indexOf("?", start);
  return query < 0 ? url.slice(start) : url.slice(start, query);
}

/** Noncharacters SQS rejects, and line breaks: the pack puts one heartbeat on one line. */
const UNQUEUEABLE = /[\n\r\ufffe\uffff]/;

/**
 * A heartbeat that may go on the queue: recognised, or of the schema. Tenant and asset come from the verified keyid,
 * never from the body.
 */
export function validate({ body, keyid, session, receivedAtMs }: Authentic, deps: Deps): Verdict<Admitted> {
  const { tenantId, assetId } = session.id;
  const entry = { assetId, receivedAt: timestamp(receivedAtMs), body };
  const seen = deps.seenStates.recognise(keyid, body);
  if (seen !== undefined) return accept({ tenantId, entry, provenGeneration: seen });
  const read = parseJsonText(body);
  if (!read.ok) return read;
  const { text, json } = read.value;
  if (UNQUEUEABLE.test(text)) return refuse("wire.malformed", "the body must be one line of JSON");
  const parsed = heartbeat.safeParse(json);
  if (!parsed.success) {
    return refuse("wire.malformed", placeOf(parsed.error));
  }
  const provenGeneration = parsed.data.containment.generation;
  deps.seenStates.remember(keyid, body, { text, json, provenGeneration });
  return accept({ tenantId, entry, provenGeneration });
}

/** What the agent is told: with the directive for as long as it has not proven that generation. */
export function checkIsolation(
  { entry, provenGeneration }: Admitted,
  action: OpenAction | undefined,
  nowMs: number,
): Verdict<HeartbeatAnswer> {
  const { receivedAt } = entry;
  if (action === undefined) return accept({ receivedAt });
  if (action.revoked) return refuse("asset.revoked");
  const isDue = action.directive !== undefined && isDirectiveDue(action, provenGeneration, nowMs);
  return accept(isDue ? { receivedAt, directive: action.directive! } : { receivedAt });
}
