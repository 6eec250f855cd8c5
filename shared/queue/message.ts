import { z } from "zod";
import { utf8 } from "../encoding/bytes.ts";
import { tenantId } from "../ids.ts";
import { TRACEPARENT } from "../observability/traceparent.ts";

/*
 * A queue message packs heartbeats of one tenant, as text:
 *
 *   {"v":1,"tenant":"org_…","count":2}
 *   {"asset":"01…","receivedAt":"…"} {…heartbeat as the agent sent it…}
 *   {"asset":"01…","receivedAt":"…"} {…}
 *
 * The heartbeat is carried byte for byte, never serialised again. A JSON text cannot hold a raw line break
 * inside a string; the edge refuses one between tokens, so a line is always one heartbeat. A pack of none says that
 * something of the tenant's waits in the outbox: whoever gets it looks there at once.
 */

/**
 * Text of a pack before it is compressed. Heartbeats of a fleet are alike: this much becomes some 50 KiB, and a
 * request is billed per 64 KiB. What cannot be compressed stays below the 1 MiB AWS takes all the same.
 */
export const PACK_BYTES_MAX = 480 * 1024;

/** Before a pack that is compressed: base64 (RFC 4648 §4) of raw deflate (RFC 1951) of its text follows. */
export const COMPRESSED = "z1:";

/** A worker opens nothing that grows beyond this. */
export const OPENED_BYTES_MAX = 4 * 1024 * 1024;

export const SIGNATURE_ATTRIBUTE = "lz-signature";
export const KID_ATTRIBUTE = "lz-kid";
/** On messages of the dead-letter queue: why it can never succeed. */
export const REASON_ATTRIBUTE = "lz-reason";
export const ORIGIN_ATTRIBUTE = "lz-origin";

/** Why the worker sets a message aside. */
export const REASONS = {
  unsigned: "unsigned",
  forged: "the signature does not verify",
  unknownKey: "signed with a key that the worker does not know",
  noPack: "signed, but not a pack of heartbeats",
  noHeartbeat: "the heartbeat does not match its schema",
} as const;
export type Reason = (typeof REASONS)[keyof typeof REASONS];

/**
 * What may pass: the key comes with the next step of a rotation, the schema with the next version of the worker. Such
 * a letter keeps its signature, so that it can be replayed and is checked anew; one that fails its check never can.
 */
export const PASSING_REASONS: ReadonlySet<string> = new Set<Reason>([
  REASONS.unknownKey,
  REASONS.noPack,
  REASONS.noHeartbeat,
]);

const header = z.strictObject({ v: z.literal(1), tenant: tenantId, count: z.int().min(0).max(10_000) });
/** `body` is the heartbeat's JSON, as text or in UTF-8; the asset is the one whose session key signed it. */
export type Entry<Body = string> = {
  assetId: string;
  receivedAt: string;
  /** W3C traceparent, so that a trace goes on behind the queue. */
  trace?: string;
  body: Body;
};
export type Pack = { tenantId: string; entries: Entry[] };

/** One line of a pack. The body is bytes until it is compressed: a heartbeat is copied once. */
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

/** Bytes a line takes in a pack: a head is ASCII, and a line break goes before it. */
export const lineBytes = ({ head, body }: Line): number => 1 + head.length + body.length;

/** UTF-8 of a pack. `lines` as {@link encodeEntry} makes them. */
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

/** Throws when the text is no pack: after a good signature that is our own fault, not a sender's. */
export function decodePack(text: string): Pack {
  const [first, ...lines] = text.split("\n");
  const { tenant, count } = header.parse(JSON.parse(first ?? ""));
  if (lines.length !== count) throw new Error(`pack names ${count} heartbeats and holds ${lines.length}`);
  return { tenantId: tenant, entries: lines.map(decodeEntry) };
}

/** The very form {@link encodeEntry} writes: parsing it as JSON and by a schema costs more than all else here. */
const ENTRY_HEAD =
  /^\{"asset":"([0-7][0-9A-HJKMNP-TV-Z]{25})","receivedAt":"(2\d{3}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)"(?:,"trace":"([^"\\]+)")?\} /;

function decodeEntry(line: string): Entry {
  const [head, asset, receivedAt, trace] = ENTRY_HEAD.exec(line) ?? [];
  const isTrace = trace === undefined || TRACEPARENT.test(trace);
  if (head === undefined || !isTrace || !Number.isFinite(Date.parse(receivedAt!))) {
    throw new Error("a line of the pack has no head");
  }
  const entry = { assetId: asset!, receivedAt: receivedAt!, body: line.slice(head.length) };
  return trace === undefined ? entry : { ...entry, trace };
}
