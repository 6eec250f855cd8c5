import type { Entry } from "../../shared/queue/message.ts";
import { datesOf } from "./plausible-dates.ts";
import type { Spooled } from "./state-hash.ts";
import type { Moment } from "./timeline-position.ts";

/** What can be told of a heartbeat by its first and last bytes. */
export type Glance = Moment &
  Spooled & {
    /** Hash of the text of its state. Equal to one of a heartbeat that was checked: it holds the same. */
    raw: bigint;
  };

const HEAD =
  /^\{"v":1,"sequence":(0|[1-9]\d{0,14}),"sentAt":"([12]\d{3}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)","stateSince":"([12]\d{3}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)",/;
const TAIL = ',"spool":{"waiting":';
const TAIL_FORM = /^(0|[1-9]\d{0,14}),"dropped":(0|[1-9]\d{0,14})\}\}$/;
const TAIL_CHARACTERS_MAX = 80;
const COLLECTORS = ',"collectors":[';
const COLLECTORS_END = '],"containment":{';
/** A collector's wording (`412 processes`) changes all the time and is no state. */
const DETAIL = /,"detail":"[^"\\]{1,240}"/g;

/**
 * Looks at a heartbeat in the form agents write it, without parsing it: the greater part is known word for word
 * from the heartbeat before. Undefined for any other form; then it is parsed, which takes all forms JSON has.
 */
export function glanceAt({ assetId, body, receivedAt }: Entry): Glance | undefined {
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
  const told = state.slice(from, to);
  if (!told.includes('"detail"')) return Bun.hash.wyhash(state);
  const collectors = told.replace(DETAIL, "");
  return Bun.hash.wyhash(state.slice(0, from) + collectors + state.slice(to));
}
