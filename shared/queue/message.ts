import { z } from "zod";
import { utf8 } from "../encoding/bytes.ts";
import { tenantId } from "../ids.ts";
import { TRACEPARENT } from "../observability/traceparent.ts";

/*
 * A queue message is a pack of heartbeats of one tenant, as text:
 *
 *   {"v":1,"tenant":"org_…","count":2}
 *   {"asset":"01…","receivedAt":"…"} {…heartbeat as the agent sent it…}
 *   {"asset":"01…","receivedAt":"…"} {…}
 *
 * The heartbeat is copied byte for byte and never serialised again. A JSON string cannot contain a raw line
 * break, and the edge refuses line breaks between tokens, so a line is always one heartbeat. A pack without
 * heartbeats means that the tenant's outbox has a new event. The worker then reads the outbox immediately.
 */

/**
 * Maximum size of a pack before compression, in bytes. The heartbeats of a fleet are similar, so a full pack
 * compresses to about 50 KiB. SQS bills requests per 64 KiB. Even without compression, a pack is smaller than
 * the 1 MiB limit of SQS.
 */
export const PACK_BYTES_MAX = 480 * 1024;

/** Prefix of a compressed pack. After it follows the text as raw deflate (RFC 1951) in base64 (RFC 4648 §4). */
export const COMPRESSED = "z1:";

/** Maximum size of a pack after decompression, in bytes. */
export const OPENED_BYTES_MAX = 4 * 1024 * 1024;

export const SIGNATURE_ATTRIBUTE = "lz-signature";
export const KID_ATTRIBUTE = "lz-kid";
/** Attribute of messages in the dead-letter queue. It contains the reason why the message cannot be processed. */
export const REASON_ATTRIBUTE = "lz-reason";
export const ORIGIN_ATTRIBUTE = "lz-origin";

/** Reasons for sending a message to the dead-letter queue. */
export const REASONS = {
  unsigned: "unsigned",
  forged: "the signature does not verify",
  unknownKey: "signed with a key that the worker does not know",
  noPack: "signed, but not a pack of heartbeats",
  noHeartbeat: "the heartbeat does not match its schema",
} as const;
export type Reason = (typeof REASONS)[keyof typeof REASONS];

/**
 * Reasons that can disappear. A key arrives with a key rotation, and a schema with a newer worker. Such a
 * dead letter keeps its signature, so it can be replayed and verified again. A message with an invalid
 * signature can never be replayed.
 */
export const REPLAYABLE_REASONS: ReadonlySet<string> = new Set<Reason>([
  REASONS.unknownKey,
  REASONS.noPack,
  REASONS.noHeartbeat,
]);

const header = z.strictObject({ v: z.literal(1), tenant: tenantId, count: z.int().min(0).max(10_000) });
/**
 * A heartbeat in a pack. `body` is its JSON, as text or in UTF-8. `assetId` is the asset whose session key
 * signed it.
 */
export type Entry<Body = string> = {
  assetId: string;
  receivedAt: string;
  /** W3C traceparent with which the worker continues the trace. Absent if the heartbeat is not traced. */
  trace?: string;
  body: Body;
};
export type Pack = { tenantId: string; entries: Entry[] };

/** One line of a pack. The body stays in bytes until compression, so each heartbeat is copied only once. */
export type Line = { head: string; body: Uint8Array<ArrayBuffer> };

export function encodeEntry({
  assetId,
  receivedAt,
  trace,
  body,
}: Entry<string | Uint8Array<ArrayBuffer>>): Line {
  const traced = trace === undefined ? "" : `,"trace":"${trace}"`;
  const head = `{"asset":"${assetId}","receivedAt":"${receivedAt}"${traced}} `;
  return { head, body: typeof body === "string" ? utf8(body) : body };
}

/** Size of a line in a pack, in bytes. The head is ASCII, and a line break precedes it. */
export const lineBytes = ({ head, body }: Line): number => 1 + head.length + body.length;

/** Encodes a pack with these lines in UTF-8. */
export function encodePack(tenant: string, lines: readonly Line[]): Uint8Array<ArrayBuffer> {
  const header = `{"v":1,"tenant":"${tenant}","count":${lines.length}}`;
  let length = header.length;
  for (const line of lines) length += lineBytes(line);
  const bytes = new Uint8Array(length);
  let offset = encoder.encodeInto(header, bytes).written;
  for (const { head, body } of lines) {
    bytes[offset] = LINE_BREAK;
    offset += 1 + encoder.encodeInto(head, bytes.subarray(offset + 1)).written;
    bytes.set(body, offset);
    offset += body.length;
  }
  return bytes;
}

const encoder = new TextEncoder();
const LINE_BREAK = 0x0a;

/**
 * Parses a pack. Throws for invalid text. Because the signature is valid, invalid text indicates an error in
 * our own edge.
 */
export function decodePack(text: string): Pack {
  const [first, ...lines] = text.split("\n");
  const { tenant, count } = header.parse(JSON.parse(first ?? ""));
  if (lines.length !== count)
    throw new Error(`the pack announces ${count} heartbeats but contains ${lines.length}`);
  return { tenantId: tenant, entries: lines.map(decodeEntry) };
}

/**
 * The exact format that {@link encodeEntry} writes. A regular expression is much faster here than JSON and a
 * schema.
 */
const ENTRY_HEAD =
  /^\{"asset":"([0-7][0-9A-HJKMNP-TV-Z]{25})","receivedAt":"(2\d{3}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)"(?:,"trace":"([^"\\]+)")?\} /;

function decodeEntry(line: string): Entry {
  const [head, asset, receivedAt, trace] = ENTRY_HEAD.exec(line) ?? [];
  const isTrace = trace === undefined || TRACEPARENT.test(trace);
  if (head === undefined || !isTrace || !Number.isFinite(Date.parse(receivedAt!))) {
    throw new Error("a line of the pack has no valid head");
  }
  const entry = { assetId: asset!, receivedAt: receivedAt!, body: line.slice(head.length) };
  return trace === undefined ? entry : { ...entry, trace };
}
