import { base64, fromBase64, utf8 } from "../encoding/bytes.ts";
import type { EventItem } from "../table/items/event.ts";

/** Body of a webhook: one event, in the form standardwebhooks.com recommends. */
export const webhookBody = ({ kind, at, tenantId, assetId, hostname, data }: EventItem): string =>
  JSON.stringify({ type: kind, timestamp: at, data: { tenantId, assetId, hostname, ...data } });

/** Prefix of a secret, by the specification. */
export const SECRET_PREFIX = "whsec_";

/**
 * Headers of a webhook by the Standard Webhooks specification: id, time in seconds, and for each secret `v1,` with
 * the base64 HMAC-SHA256 of `id.timestamp.body` under the bytes behind `whsec_`. A receiver accepts when one of them
 * is right, so two secrets are good for the time of a rotation. Throws when a secret is none.
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
  if (!bytes) throw new Error("a webhook secret is whsec_ and base64");
  const key = await crypto.subtle.importKey("raw", bytes, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  return `v1,${base64(new Uint8Array(await crypto.subtle.sign("HMAC", key, signed)))}`;
}
