import type { Entry } from "../../shared/queue/message.ts";
import { datesOf } from "./plausible-dates.ts";
import type { Spooled } from "./state-hash.ts";
import type { Moment } from "./timeline-position.ts";

/** Fields of a heartbeat that are read from its first and last bytes, without parsing it. */
export type HeartbeatPreview = Moment &
  Spooled & {
    /** Hash of the state text. Two heartbeats with equal hashes have the same state. */
    raw: bigint;
  };

const HEAD =
  /^\{"v":1,"sequence":(0|[1-9]\d{0,14}),"sentAt":"([12]\d{3}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)","stateSince":"([12]\d{3}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)",/;
const TAIL = ',"spool":{"waiting":';
const TAIL_FORM = /^(0|[1-9]\d{0,14}),"dropped":(0|[1-9]\d{0,14})\}\}$/;
const TAIL_CHARACTERS_MAX = 80;
const COLLECTORS = ',"collectors":[';
const COLLECTORS_END = '],"containment":{';
/**
 * The detail text of a collector, for example `412 processes`. It changes with every heartbeat and is not
 * part of the state.
 */
const DETAIL = /,"detail":"[^"\\]{1,240}"/g;

/**
 * Reads the preview of a heartbeat without parsing the whole heartbeat. Most heartbeats repeat the state of
 * the previous one, byte for byte. Returns undefined unless the body has the form that agents write. A
 * heartbeat without a preview is then parsed as JSON.
 */
export function previewHeartbeat({ assetId, body, receivedAt }: Entry): HeartbeatPreview | undefined {
  const head = HEAD.exec(body);
  if (!head) return undefined;
  const tailAt = body.lastIndexOf(TAIL);
  const tail = body.slice(tailAt + TAIL.length);
  if (tailAt < 0 || tail.length > TAIL_CHARACTERS_MAX) return undefined;
  const spool = TAIL_FORM.exec(tail);
  if (!spool) return undefined;
  const [, sequence, sentAt, stateSince] = head;
  if (!(Number.isFinite(Date.parse(sentAt!)) && Number.isFinite(Date.parse(stateSince!)))) return undefined;
  return {
    ...datesOf({ sentAt: sentAt!, stateSince: stateSince! }, receivedAt),
    receivedAt,
    sequence: Number(sequence),
    waiting: Number(spool[1]),
    dropped: Number(spool[2]),
    assetId,
    raw: hashOfState(body.slice(head[0].length, tailAt)),
  };
}

function hashOfState(state: string): bigint {
  const from = state.lastIndexOf(COLLECTORS);
  const to = state.lastIndexOf(COLLECTORS_END);
  if (from < 0 || to < from) return Bun.hash.wyhash(state);
  const reported = state.slice(from, to);
  if (!reported.includes('"detail"')) return Bun.hash.wyhash(state);
  const collectors = reported.replace(DETAIL, "");
  return Bun.hash.wyhash(state.slice(0, from) + collectors + state.slice(to));
}
