import { base64url, utf8 } from "../shared/bytes.ts";
import {
  type Entry,
  encodeEntry,
  encodePack,
  KID_ATTRIBUTE,
  PACK_BYTES_MAX,
  SIGNATURE_ATTRIBUTE,
} from "../shared/queue/message.ts";
import type { AwsCall } from "./aws.ts";
import { UpstreamFault } from "./aws.ts";

/** Resolves once the queue has accepted the message that carries the heartbeat; rejects if it did not. */
export type Enqueue = (tenantId: string, entry: Entry) => Promise<void>;

export type SendPack = (tenantId: string, lines: readonly string[]) => Promise<void>;

/** Signs a pack and sends it. The tenant is the message group: fair queues keep one tenant from starving others. */
export function createSendPack(
  call: AwsCall,
  queueUrl: string,
  signing: { kid: string; key: CryptoKey },
): SendPack {
  return async (tenantId, lines) => {
    const body = encodePack(tenantId, lines);
    const signature = await crypto.subtle.sign("HMAC", signing.key, utf8(body));
    const attribute = (value: string) => ({ DataType: "String", StringValue: value });
    const response = await call(
      "AmazonSQS.SendMessage",
      JSON.stringify({
        QueueUrl: queueUrl,
        MessageBody: body,
        MessageGroupId: tenantId,
        MessageAttributes: {
          [KID_ATTRIBUTE]: attribute(signing.kid),
          [SIGNATURE_ATTRIBUTE]: attribute(base64url(new Uint8Array(signature))),
        },
      }),
    );
    await response.body?.cancel();
    if (!response.ok) throw new UpstreamFault(`sqs refused the message with ${response.status}`);
  };
}

/** For runtimes whose requests may not share I/O (workerd): every heartbeat is a message of its own. */
export const sendEach =
  (send: SendPack): Enqueue =>
  (tenantId, entry) =>
    send(tenantId, [encodeEntry(entry)]);

/** How long the first heartbeat of a pack waits for company. */
const PACK_WAIT_MS = 5;

type Open = { lines: string[]; bytes: number; sent: Promise<void>; flush: () => void };

/**
 * For long-lived runtimes: heartbeats of a tenant that arrive within {@link PACK_WAIT_MS} share one message.
 * A failed send rejects exactly the heartbeats that were in it.
 */
export function packed(send: SendPack, after: (ms: number, then: () => void) => void): Enqueue {
  const open = new Map<string, Open>();

  function openPack(tenantId: string): Open {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const pack: Open = { lines: [], bytes: 0, sent: promise, flush };
    function flush() {
      if (open.get(tenantId) !== pack) return;
      open.delete(tenantId);
      send(tenantId, pack.lines).then(resolve, reject);
    }
    open.set(tenantId, pack);
    after(PACK_WAIT_MS, flush);
    return pack;
  }

  return (tenantId, entry) => {
    const line = encodeEntry(entry);
    // A UTF-16 unit is at most three bytes of UTF-8. The bound is ours, not AWS's: an estimate will do.
    const bytes = line.length;
    let pack = open.get(tenantId);
    if (pack && pack.bytes + bytes > PACK_BYTES_MAX) {
      pack.flush();
      pack = undefined;
    }
    pack ??= openPack(tenantId);
    pack.lines.push(line);
    pack.bytes += bytes;
    return pack.sent;
  };
}
