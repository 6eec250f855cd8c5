import { utf8 } from "../encoding/bytes.ts";
import { assetId, tenantId } from "../ids.ts";

/** Parts of a session's `keyid`: version of the edge secret, tenant, asset and expiry. */
export type SessionKeyId = { version: string; tenantId: string; assetId: string; expiresAtSeconds: number };

const SESSION = "lz1";
const DEVICE = "lzd1";

export const sessionKeyid = (id: SessionKeyId): string =>
  `${SESSION}.${id.version}.${id.tenantId}.${id.assetId}.${id.expiresAtSeconds}`;

/** Parses the format that {@link sessionKeyid} writes. Returns undefined for any other text. */
export function parseSessionKeyid(keyid: string): SessionKeyId | undefined {
  const [form, version, tenant, asset, expires, ...rest] = keyid.split(".");
  if (form !== SESSION || rest.length > 0 || !version || !/^[a-z0-9]{1,16}$/.test(version)) return undefined;
  if (!expires || !/^[1-9]\d{8,10}$/.test(expires)) return undefined;
  if (!tenantId.safeParse(tenant).success || !assetId.safeParse(asset).success) return undefined;
  return { version, tenantId: tenant!, assetId: asset!, expiresAtSeconds: Number(expires) };
}

/**
 * Derives a session key as HMAC-SHA256(edge secret, keyid). The key depends on its keyid, so any edge node
 * can derive it without a read. A forged `keyid` of another tenant results in a different key, which the
 * forger does not have.
 */
export async function deriveSessionKey(
  edgeSecret: CryptoKey,
  keyid: string,
): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await crypto.subtle.sign("HMAC", edgeSecret, utf8(keyid)));
}

/**
 * `keyid` of a signature with the device key. The `keyid` only claims to belong to this asset. Verification
 * with the stored public key proves the claim.
 */
export const deviceKeyid = (tenant: string, asset: string): string => `${DEVICE}.${tenant}.${asset}`;

export function parseDeviceKeyid(keyid: string): { tenantId: string; assetId: string } | undefined {
  const [form, tenant, asset, ...rest] = keyid.split(".");
  if (form !== DEVICE || rest.length > 0) return undefined;
  if (!tenantId.safeParse(tenant).success || !assetId.safeParse(asset).success) return undefined;
  return { tenantId: tenant!, assetId: asset! };
}
