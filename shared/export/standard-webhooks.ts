import { base64, fromBase64, utf8 } from "../encoding/bytes.ts";
import type { EventItem } from "../table/items/event.ts";

/** Body of a webhook request. It contains one event in the format that standardwebhooks.com recommends. */
export const webhookBody = ({ kind, at, tenantId, assetId, hostname, data }: EventItem): string =>
  JSON.stringify({ type: kind, timestamp: at, data: { tenantId, assetId, hostname, ...data } });

/** Prefix of a secret in the Standard Webhooks specification. */
export const SECRET_PREFIX = "whsec_";

/**
 * Headers of the Standard Webhooks specification: the id, the time in seconds, and one signature per secret.
 * A signature is `v1,` followed by the base64 HMAC-SHA256 of `id.timestamp.body`. Its key is the bytes after
 * `whsec_`. A receiver accepts any valid signature, so two secrets work during a rotation. Throws for an
 * invalid secret.
 */
export async function webhookHeaders(
  secrets: readonly string[],
  id: string,
  timestampSeconds: number,
  body: string,
): Promise<Record<string, string>> {
  const signed = utf8(`${id}.${timestampSeconds}.${body}`);
  const signatures = await Promise.all(secrets.map((secret) => signature(secret, signed)));
  return {
    "content-type": "application/json",
    "webhook-id": id,
    "webhook-timestamp": String(timestampSeconds),
    "webhook-signature": signatures.join(" "),
  };
}

async function signature(secret: string, signed: BufferSource): Promise<string> {
  const bytes = secret.startsWith(SECRET_PREFIX) ? fromBase64(secret.slice(SECRET_PREFIX.length)) : undefined;
  if (!bytes) throw new Error("Invalid webhook secret: expected whsec_ followed by base64");
  const key = await crypto.subtle.importKey("raw", bytes, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  return `v1,${base64(new Uint8Array(await crypto.subtle.sign("HMAC", key, signed)))}`;
}
