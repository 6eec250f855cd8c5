import type { Entry } from "../../shared/queue/message.ts";
import { type Heartbeat, heartbeat } from "../../shared/wire/heartbeat.ts";
import { datesOf } from "./plausible-dates.ts";
import type { HeartbeatPreview } from "./preview-heartbeat.ts";
import type { Message } from "./queue-message.ts";
import type { Spooled } from "./state-hash.ts";
import type { Moment } from "./timeline-position.ts";

/** One heartbeat from a verified message. */
export type Delivery = Moment &
  Spooled & {
    message: Message;
    tenantId: string;
    assetId: string;
    /** W3C traceparent of the HTTP request that carried the heartbeat. Absent if that request is not traced. */
    trace?: string;
    /** Hash of the state text. Undefined if the body does not have the exact form that agents write. */
    raw: bigint | undefined;
    /** Returns the heartbeat. Parses it on the first call, if it was not parsed before. */
    heartbeat(): Heartbeat;
  };

type Origin = { message: Message; tenantId: string };

/** Parses a heartbeat. Returns undefined if it does not match its schema. */
export function parseDelivery(entry: Entry, origin: Origin, raw?: bigint): Delivery | undefined {
  try {
    const parsed = heartbeat.parse(JSON.parse(entry.body));
    const { assetId, receivedAt, trace } = entry;
    const { sequence, spool } = parsed;
    return {
      ...origin,
      assetId,
      receivedAt,
      ...(trace !== undefined && { trace }),
      ...datesOf(parsed, receivedAt),
      sequence,
      waiting: spool.waiting,
      dropped: spool.dropped,
      raw,
      heartbeat: () => parsed,
    };
  } catch {
    return undefined;
  }
}

/**
 * Creates the delivery of a heartbeat whose state text is known from an earlier heartbeat that was parsed.
 * The new heartbeat is parsed only on demand.
 */
export function knownDelivery(entry: Entry, origin: Origin, preview: HeartbeatPreview): Delivery {
  const { assetId, body, trace } = entry;
  let parsed: Heartbeat | undefined;
  const parse = () => {
    parsed ??= heartbeat.parse(JSON.parse(body));
    return parsed;
  };
  const traced = trace === undefined ? undefined : { trace };
  return { ...origin, ...preview, assetId, ...traced, heartbeat: parse };
}
