import { base64url, utf8 } from "../../shared/encoding/bytes.ts";
import type { CopySighting } from "../../shared/queue/copy-sighting.ts";
import { type AssetItem, assetItem } from "../../shared/table/items/asset/asset.ts";
import { decodeItem } from "../../shared/table/items/decode.ts";
import { assetKey } from "../../shared/table/keys.ts";
import { timestamp } from "../../shared/time/clock.ts";
import { accept, type Refusal, refuse, type Verdict } from "../../shared/verdict.ts";
import { SESSION_SECONDS, type SessionAnswer, type SessionRequest } from "../../shared/wire/enrolment.ts";
import { isOtherMachine } from "../../shared/wire/hardware.ts";
import { parseDeviceKeyid } from "../../shared/wire/keyid.ts";
import { readAgentSettings } from "./agent-settings.ts";
import type { EnrolmentDeps } from "./deps.ts";
import { isSignedBy, type Limited, parseSigned, type Signed } from "./device-signature.ts";

export type SignedSession = Signed & { claimed: { tenantId: string; assetId: string }; asset: AssetItem };

/**
 * Verifies that the request was signed with the device key of the asset in the `keyid` parameter. Does not
 * read the body.
 */
export async function verifySession(request: Request, deps: EnrolmentDeps): Promise<Verdict<SignedSession>> {
  const signed = parseSigned(request, deps);
  if (!signed.ok) return signed;
  const claimed = parseDeviceKeyid(signed.value.input.keyid);
  if (!claimed) return refuse("wire.bad-signature");
  const stored = await deps.authority.read(assetKey(claimed.tenantId, claimed.assetId));
  // An unknown asset and a wrong key cause the same refusal, so that strangers cannot enumerate assets.
  const asset = stored && decodeItem(assetItem, stored);
  if (!asset || !(await isSignedBy(asset.deviceKey, signed.value))) return refuse("wire.bad-signature");
  return accept({ ...signed.value, claimed, asset });
}

/** Handles `POST /v1/session`: returns a session key that is valid for one hour. */
export async function openSession(
  { claimed, asset }: SignedSession,
  body: SessionRequest,
  deps: EnrolmentDeps,
): Promise<Verdict<SessionAnswer> | Limited> {
  if (asset.revokedAt) return refuse("asset.revoked");
  if (body.copiedTo !== undefined || isOtherMachine(asset.hardware, body.hardware))
    return refuseCopy(claimed, body, deps);
  const taken = deps.limits.session.take(claimed.assetId);
  if (!taken.allowed) return { ...refuse("wire.too-many"), limit: deps.limits.session, taken };
  const expiresAtSeconds = Math.floor(deps.clock() / 1000) + SESSION_SECONDS;
  const { keyid, bytes } = await deps.sessionKeys.issue({ ...claimed, expiresAtSeconds });
  const settings = await readAgentSettings(deps, claimed.tenantId);
  const keySet = deps.controlKeySet === undefined ? {} : { keySet: deps.controlKeySet };
  return accept({ keyid, key: base64url(bytes), expiresAtSeconds, ...settings, ...keySet });
}

/**
 * Refuses a session to a copied identity, which means that the request comes from a machine other than the
 * enrolled one. Reports the copy to the workers. Copies have a separate rate limit, so that they do not use
 * up the sessions of the enrolled machine.
 */
async function refuseCopy(
  { tenantId, assetId }: SignedSession["claimed"],
  { copiedTo }: SessionRequest,
  deps: EnrolmentDeps,
): Promise<Refusal | Limited> {
  const taken = deps.limits.session.take(`${assetId} copied`);
  if (!taken.allowed) return { ...refuse("wire.too-many"), limit: deps.limits.session, taken };
  const sighting: CopySighting = { v: 1, copied: copiedTo === undefined ? {} : { hostname: copiedTo } };
  const receivedAt = timestamp(deps.clock());
  await deps.enqueue(tenantId, { assetId, receivedAt, body: utf8(JSON.stringify(sighting)) });
  deps.log("warn", "asset.copied", { tenantId, assetId, hostname: copiedTo });
  return refuse("asset.copied");
}
