import { base64, base64url, utf8 } from "../../shared/encoding/bytes.ts";
import type { Log } from "../../shared/observability/log.ts";
import {
  COMPRESSED,
  encodePack,
  KID_ATTRIBUTE,
  type Line,
  SIGNATURE_ATTRIBUTE,
} from "../../shared/queue/message.ts";
import type { Hashing } from "../runtime/hashing.ts";
import { type AwsAnswer, type AwsCall, type AwsRefusal, UpstreamFault } from "./aws-client.ts";
import type { Instruments } from "./telemetry.ts";

/** Signs and sends a pack. Rejects with {@link UpstreamFault} unless the queue confirms the message and its MD5. */
export type SendPack = (tenantId: string, lines: readonly Line[]) => Promise<void>;

export type QueueClient = {
  send: SendPack;
  /** Resolves if the configured queue returns its own ARN. Used by the readiness probe. */
  reach(): Promise<void>;
  /** Returns true after the queue has refused a message with a group and accepted it without one. */
  areMessageGroupsRefused(): boolean;
};

export type QueueClientDeps = {
  call: AwsCall;
  queueUrl: string;
  instruments: Pick<Instruments, "sent">;
  hashing: Pick<Hashing, "deflate" | "md5">;
  signing: { kid: string; key: CryptoKey };
  log: Log;
};

/**
 * Creates a client of the SQS queue. The tenant is the message group, which enables fair queues on a standard
 * queue. With fair queues, one tenant cannot delay others. If a queue service refuses message groups
 * (ElasticMQ before 1.6.14), the client sends messages without them.
 */
export function createQueueClient(deps: QueueClientDeps): QueueClient {
  const { call, queueUrl, hashing, signing } = deps;
  let areGroupsRefused = false;

  async function signedMessage(tenantId: string, lines: readonly Line[]) {
    const text = `${COMPRESSED}${base64(await hashing.deflate(encodePack(tenantId, lines)))}`;
    const bytes = utf8(text);
    const signature = base64url(new Uint8Array(await crypto.subtle.sign("HMAC", signing.key, bytes)));
    const message = {
      QueueUrl: queueUrl,
      MessageBody: text,
      MessageAttributes: {
        [KID_ATTRIBUTE]: { DataType: "String", StringValue: signing.kid },
        [SIGNATURE_ATTRIBUTE]: { DataType: "String", StringValue: signature },
      },
    };
    return { message, bytes };
  }

  const sendMessage = (message: object) => call("AmazonSQS.SendMessage", JSON.stringify(message));

  async function send(tenantId: string, lines: readonly Line[]): Promise<void> {
    const { message, bytes } = await signedMessage(tenantId, lines);
    if (areGroupsRefused) return checkAccepted(await sendMessage(message), await hashing.md5(bytes));
    const answer = await sendMessage({ ...message, MessageGroupId: tenantId });
    const refusal = !answer.ok && namesMessageGroup(answer.refusal) ? answer.refusal : undefined;
    checkAccepted(refusal ? await sendMessage(message) : answer, await hashing.md5(bytes));
    if (refusal) noteGroupsRefused(refusal);
  }

  /**
   * Stops using message groups. Called after the queue accepted a message without its group that it had
   * refused with the group.
   */
  function noteGroupsRefused({ code }: AwsRefusal): void {
    if (areGroupsRefused) return;
    areGroupsRefused = true;
    const fix = "use a queue with fair queues: Amazon SQS, or ElasticMQ 1.6.14 or newer";
    deps.log("warn", "queue.message-groups-refused", { code, effect: "no fair queues", fix });
  }

  return {
    async send(tenantId, lines) {
      let isAccepted = false;
      try {
        await send(tenantId, lines);
        isAccepted = true;
      } finally {
        deps.instruments.sent(lines.length, isAccepted);
      }
    },
    async reach() {
      const body = JSON.stringify({ QueueUrl: queueUrl, AttributeNames: ["QueueArn"] });
      const answer = await call("AmazonSQS.GetQueueAttributes", body);
      if (!answer.ok) throw refused(answer);
      const { QueueArn } = (answer.value.Attributes ?? {}) as { QueueArn?: unknown };
      const name = new URL(queueUrl).pathname.split("/").at(-1);
      if (typeof QueueArn !== "string" || QueueArn.split(":").at(-1) !== name)
        throw new UpstreamFault("unexpected response from SQS: no ARN of the configured queue");
    },
    areMessageGroupsRefused: () => areGroupsRefused,
  };
}

/**
 * The error messages of LocalStack, ElasticMQ, and SQS before July 2025 differ, but all of them contain the
 * parameter name.
 */
const namesMessageGroup = ({ message }: AwsRefusal): boolean => message.includes("MessageGroupId");

/**
 * Checks that the response contains a message id and the MD5 of the sent body. The status 200 alone does not
 * prove that the queue stored the message.
 */
function checkAccepted(answer: AwsAnswer, md5: string): void {
  if (!answer.ok) throw refused(answer);
  const { MessageId, MD5OfMessageBody } = answer.value;
  if (typeof MessageId !== "string" || MessageId === "")
    throw new UpstreamFault("unexpected response from SQS: status 200 without a MessageId");
  if (MD5OfMessageBody !== md5)
    throw new UpstreamFault("unexpected response from SQS: status 200 with the MD5 of a different body");
}

const refused = ({ status, refusal }: AwsAnswer & { ok: false }): UpstreamFault =>
  new UpstreamFault(`SQS refused the request with ${status} ${refusal.code}`.trimEnd());
