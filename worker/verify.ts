import { timingSafeEqual } from "node:crypto";
import { inflateRawSync } from "node:zlib";
import { COMPRESSED, decodePack, OPENED_BYTES_MAX, type Pack } from "../shared/queue/message.ts";
import type { Message } from "./deps.ts";

/** Text of a pack, compressed or not. Throws for what is neither, and for what grows beyond the limit. */
export function inflate(body: string): string {
  if (!body.startsWith(COMPRESSED)) return body;
  const deflated = Buffer.from(body.slice(COMPRESSED.length), "base64");
  return inflateRawSync(deflated, { maxOutputLength: OPENED_BYTES_MAX }).toString("utf8");
}

export type Opened = { ok: true; pack: Pack } | { ok: false; reason: string };

/**
 * Opens a message only when the edge signed it: the signature is checked over the bytes before anything reads
 * them. Whoever can write to the queue still cannot put telemetry into it.
 */
export function openMessage(message: Message, keys: ReadonlyMap<string, Uint8Array>): Opened {
  const key = message.kid === undefined ? undefined : keys.get(message.kid);
  if (!key || message.signature === undefined)
    return { ok: false, reason: "unsigned, or signed with an unknown key" };
  const wanted = new Bun.CryptoHasher("sha256", key).update(message.body).digest();
  const given = Buffer.from(message.signature, "base64url");
  if (given.length !== wanted.length || !timingSafeEqual(given, wanted)) {
    return { ok: false, reason: "the signature does not verify" };
  }
  try {
    return { ok: true, pack: decodePack(inflate(message.body)) };
  } catch {
    return { ok: false, reason: "signed, but not a pack of heartbeats" };
  }
}
