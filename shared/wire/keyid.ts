import { utf8 } from "../encoding/bytes.ts";
import { assetId, tenantId } from "../ids.ts";

/** Parts of a session's `keyid`: asset, expiry and version of the edge secret. */
export type SessionKeyId = { version: string; tenantId: string; assetId: string; expiresAtSeconds: number };

const SESSION = "lz1";
const DEVICE = "lzd1";

export const sessionKeyid = (id: SessionKeyId): string =>
  `${SESSION}.${id.version}.${id.tenantId}.${id.assetId}.${id.expiresAtSeconds}`;

/** Parses the form that {@link sessionKeyid} writes. Undefined for anything else. */
export function parseSessionKeyid(keyid: string): SessionKeyId | undefined {
  const [form, version, tenant, asset, expires, ...rest] = keyid.split(".");
  if (form !== SESSION || rest.length > 0 || !version || !/^[a-z0-9]{1,16}$/.test(version)) return undefined;
  if (!expires || !/^[1-9]\d{8,10}$/.test(expires)) return undefined;
  if (!tenantId.safeParse(tenant).success || !assetId.safeParse(asset).success) return undefined;
  return { version, tenantId: tenant!, assetId: asset!, expiresAtSeconds: Number(expires) };
}

/**
 * Session key = HMAC-SHA256(edge secret, keyid): the key depends on the name it belongs to. Any edge node
 * derives it without a read. A forged `keyid` of another tenant results in a key that the forger does not
 * have.
 */
export async function deriveSessionKey(
  edgeSecret: CryptoKey,
  keyid: string,
): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await crypto.subtle.sign("HMAC", edgeSecret, utf8(keyid)));
}

/** `keyid` of a signature made with the device key. It claims the asset; the stored public key proves it. */
export const deviceKeyid = (tenant: string, asset: string): string => `${DEVICE}.${tenant}.${asset}`;

export function parseDeviceKeyid(keyid: string): { tenantId: string; assetId: string } | undefined {
  const [form, tenant, asset, ...rest] = keyid.split(".");
  if (form !== DEVICE || rest.length > 0) return undefined;
  if (!tenantId.safeParse(tenant).success || !assetId.safeParse(asset).success) return undefined;
  return { tenantId: tenant!, assetId: asset! };
}
