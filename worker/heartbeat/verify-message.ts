import { timingSafeEqual } from "node:crypto";
import { inflateRawSync } from "node:zlib";
import {
  COMPRESSED,
  decodePack,
  type Entry,
  encodeEntry,
  encodePack,
  OPENED_BYTES_MAX,
  type Pack,
  REASONS,
  type Reason,
} from "../../shared/queue/message.ts";
import type { DeadLetter, Message } from "./queue-message.ts";

/** Text of a pack, decompressed if needed. Throws if the data is invalid or exceeds the size limit. */
export function inflate(body: string): string {
  if (!body.startsWith(COMPRESSED)) return body;
  const deflated = Buffer.from(body.slice(COMPRESSED.length), "base64");
  return inflateRawSync(deflated, { maxOutputLength: OPENED_BYTES_MAX }).toString("utf8");
}

/** Assumed compression ratio of a full pack (see PACK_BYTES_MAX). */
const OPENED_FACTOR = 10;

/** Estimated size of a message in memory after decompression, in bytes. */
export const openedBytes = (body: string): number =>
  body.startsWith(COMPRESSED) ? Math.min(body.length * OPENED_FACTOR, OPENED_BYTES_MAX) : body.length;

export type Opened = { ok: true; pack: Pack } | { ok: false; reason: Reason };

/**
 * Opens a message only if the edge signed it. The signature is checked over the bytes before they are parsed,
 * so write access to the queue is not enough to inject telemetry.
 */
export function openMessage(message: Message, keys: ReadonlyMap<string, Uint8Array>): Opened {
  if (message.kid === undefined || message.signature === undefined)
    return { ok: false, reason: REASONS.unsigned };
  const key = keys.get(message.kid);
  if (!key) return { ok: false, reason: REASONS.unknownKey };
  const wanted = new Bun.CryptoHasher("sha256", key).update(message.body).digest();
  const given = Buffer.from(message.signature, "base64url");
  if (given.length !== wanted.length || !timingSafeEqual(given, wanted)) {
    return { ok: false, reason: REASONS.forged };
  }
  try {
    return { ok: true, pack: decodePack(inflate(message.body)) };
  } catch {
    return { ok: false, reason: REASONS.noPack };
  }
}

/** Dead letter of a whole message. It keeps its signature if another worker might be able to verify or parse it. */
export function deadLetterOf(message: Message, reason: Reason): DeadLetter {
  const { body, id, kid, signature } = message;
  const isKept = reason === REASONS.unknownKey || reason === REASONS.noPack;
  const letter = { body, reason, origin: id };
  return isKept && kid !== undefined && signature !== undefined ? { ...letter, kid, signature } : letter;
}

/**
 * Dead letter of one heartbeat of an opened pack. It is a separate pack, signed with the key of the original
 * pack. A worker that knows the schema can process it.
 */
export function deadLetterOfEntry(
  { id, kid }: Message,
  tenantId: string,
  entry: Entry,
  keys: ReadonlyMap<string, Uint8Array>,
): DeadLetter {
  const body = Buffer.from(encodePack(tenantId, [encodeEntry(entry)])).toString("utf8");
  const signature = new Bun.CryptoHasher("sha256", keys.get(kid!)!).update(body).digest("base64url");
  return { body, reason: REASONS.noHeartbeat, origin: id, kid: kid!, signature };
}
