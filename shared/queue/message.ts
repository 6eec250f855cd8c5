import { z } from "zod";
import { tenantId } from "../ids.ts";
import { TRACEPARENT } from "../traceparent.ts";

/*
 * A queue message packs heartbeats of one tenant, as text:
 *
 *   {"v":1,"tenant":"org_…","count":2}
 *   {"asset":"01…","receivedAt":"…"} {…heartbeat as the agent sent it…}
 *   {"asset":"01…","receivedAt":"…"} {…}
 *
 * The heartbeat is carried byte for byte, never serialised again. A JSON text cannot hold a raw line break
 * inside a string; the edge refuses one between tokens, so a line is always one heartbeat.
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

const header = z.strictObject({ v: z.literal(1), tenant: tenantId, count: z.int().min(1).max(10_000) });
/** `body` is the heartbeat's JSON text; the asset is the one whose session key signed it. */
export type Entry = {
  assetId: string;
  receivedAt: string;
  /** W3C traceparent, so that a trace goes on behind the queue. */
  trace?: string;
  body: string;
};
export type Pack = { tenantId: string; entries: Entry[] };

export function encodeEntry(entry: Entry): string {
  const trace = entry.trace === undefined ? "" : `,"trace":"${entry.trace}"`;
  return `{"asset":"${entry.assetId}","receivedAt":"${entry.receivedAt}"${trace}} ${entry.body}`;
}

/** `lines` as {@link encodeEntry} makes them. */
export function encodePack(tenant: string, lines: readonly string[]): string {
  return `{"v":1,"tenant":"${tenant}","count":${lines.length}}\n${lines.join("\n")}`;
}

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
