import { timestamp } from "../shared/clock.ts";
import type { Entry } from "../shared/queue/message.ts";
import { accept, refuse, type Verdict } from "../shared/refusal.ts";
import { type Heartbeat, type HeartbeatAnswer, heartbeat, LIMITS } from "../shared/wire/heartbeat.ts";
import { contentDigest, isFresh, parseSignature, verifySignature } from "../shared/wire/signature.ts";
import { readBody } from "./body.ts";
import type { Deps } from "./deps.ts";
import { parseJson } from "./json.ts";
import type { SessionKey } from "./session-keys.ts";

export type Admitted = { tenantId: string; entry: Entry; heartbeat: Heartbeat };

/**
 * A heartbeat that may go on the queue: cheap checks first, the body after its headers, the schema after the
 * signature. The tenant and the asset come from the verified keyid, never from the body.
 */
export async function admit(request: Request, deps: Deps): Promise<Verdict<Admitted>> {
  const signed = parseSignature(request.headers, "hmac-sha256");
  if (!signed.ok) return signed;
  const now = deps.clock();
  if (!isFresh(signed.value.createdSeconds, now, LIMITS.CLOCK_SKEW_SECONDS_MAX)) return refuse("wire.stale");
  const session = await deps.sessionKeys.find(signed.value.keyid);
  if (!session) return refuse("wire.bad-signature");
  if (!(session.id.expiresAtSeconds > now / 1000)) return refuse("wire.session-expired");

  const body = await readBody(request, LIMITS.BODY_BYTES_MAX);
  if (!body.ok) return body;
  const digest = request.headers.get("content-digest");
  if (digest === null || digest !== (await contentDigest(body.value))) return refuse("wire.bad-signature");
  const signable = { method: request.method, path: new URL(request.url).pathname, digest };
  if (!(await verifySignature(session.key, signed.value, signable))) return refuse("wire.bad-signature");
  deps.sessionKeys.keep(signed.value.keyid, session);
  return validate(body.value, session, timestamp(now));
}

/** Noncharacters SQS rejects, and line breaks: the pack puts one heartbeat on one line. */
const UNQUEUEABLE = /[\n\r\ufffe\uffff]/;

function validate(body: Uint8Array<ArrayBuffer>, session: SessionKey, receivedAt: string): Verdict<Admitted> {
  const json = parseJson(body);
  if (!json.ok) return json;
  if (UNQUEUEABLE.test(json.value.text)) return refuse("wire.malformed", "the body must be one line of JSON");
  const parsed = heartbeat.safeParse(json.value.parsed);
  if (!parsed.success) {
    return refuse("wire.malformed", parsed.error.issues[0]?.path.map(String).join(".").slice(0, 100));
  }
  const { tenantId, assetId } = session.id;
  const entry = { assetId, receivedAt, body: json.value.text };
  return accept({ tenantId, entry, heartbeat: parsed.data });
}

/** What the agent is told: with the directive for as long as it has not proven that generation. */
export async function checkIsolation(admitted: Admitted, deps: Deps): Promise<Verdict<HeartbeatAnswer>> {
  const { tenantId, entry } = admitted;
  const action = (await deps.openActions.of(tenantId)).get(entry.assetId);
  if (action?.revoked) return refuse("asset.revoked");
  const answer: HeartbeatAnswer = { receivedAt: entry.receivedAt };
  const proven = admitted.heartbeat.containment.generation;
  if (action?.directive && proven < action.generation && deps.clock() < action.expiresAtMs) {
    answer.directive = action.directive;
  }
  return accept(answer);
}
