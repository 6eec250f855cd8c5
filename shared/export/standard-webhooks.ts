import { base64, fromBase64, utf8 } from "../bytes.ts";
import type { EventItem } from "../table/items.ts";

/** Body of a webhook: one event, in the form standardwebhooks.com recommends. */
export const webhookBody = ({ kind, at, tenantId, assetId, hostname, data }: EventItem): string =>
  JSON.stringify({ type: kind, timestamp: at, data: { tenantId, assetId, hostname, ...data } });

/**
 * Headers of a webhook by the Standard Webhooks specification: id, time in seconds, and `v1,` with the base64
 * HMAC-SHA256 of `id.timestamp.body` under the bytes behind `whsec_`. Throws when the secret is none.
 */
export async function webhookHeaders(
  secret: string,
  id: string,
  timestampSeconds: number,
  body: string,
): Promise<Record<string, string>> {
  const bytes = secret.startsWith("whsec_") ? fromBase64(secret.slice("whsec_".length)) : undefined;
  if (!bytes) throw new Error("a webhook secret is whsec_ and base64");
  const key = await crypto.subtle.importKey("raw", bytes, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  const signature = await crypto.subtle.sign("HMAC", key, utf8(`${id}.${timestampSeconds}.${body}`));
  return {
    "content-type": "application/json",
    "webhook-id": id,
    "webhook-timestamp": String(timestampSeconds),
    "webhook-signature": `v1,${base64(new Uint8Array(signature))}`,
  };
}
