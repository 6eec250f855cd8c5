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

/** Text of a pack, compressed or not. Throws for what is neither, and for what grows beyond the limit. */
export function inflate(body: string): string {
  if (!body.startsWith(COMPRESSED)) return body;
  const deflated = Buffer.from(body.slice(COMPRESSED.length), "base64");
  return inflateRawSync(deflated, { maxOutputLength: OPENED_BYTES_MAX }).toString("utf8");
}

/** A full pack of a fleet's heartbeats becomes a tenth (see PACK_BYTES_MAX). */
const OPENED_FACTOR = 10;

/** About as many bytes as a message takes in work: what it opens to, told before it is opened. */
export const openedBytes = (body: string): number =>
  body.startsWith(COMPRESSED) ? Math.min(body.length * OPENED_FACTOR, OPENED_BYTES_MAX) : body.length;

export type Opened = { ok: true; pack: Pack } | { ok: false; reason: Reason };

/**
 * Opens a message only when the edge signed it: the signature is checked over the bytes before anything reads
 * them. Whoever can write to the queue still cannot put telemetry into it.
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

/** The letter of a whole message. It keeps its signature where that may yet be found good. */
export function letterOf(message: Message, reason: Reason): DeadLetter {
  const { body, id, kid, signature } = message;
  const isKept = reason === REASONS.unknownKey || reason === REASONS.noPack;
  const letter = { body, reason, origin: id };
  return isKept && kid !== undefined && signature !== undefined ? { ...letter, kid, signature } : letter;
}

/**
 * The letter of one heartbeat of a pack that was opened: a pack of itself, with its tenant, signed with the key the
 * whole one was signed with. A worker that knows its schema can take it as it is.
 */
export function entryLetterOf(
  { id, kid }: Message,
  tenantId: string,
  entry: Entry,
  keys: ReadonlyMap<string, Uint8Array>,
): DeadLetter {
  const body = Buffer.from(encodePack(tenantId, [encodeEntry(entry)])).toString("utf8");
  const signature = new Bun.CryptoHasher("sha256", keys.get(kid!)!).update(body).digest("base64url");
  return { body, reason: REASONS.noHeartbeat, origin: id, kid: kid!, signature };
}
