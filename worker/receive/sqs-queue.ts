import {
  ChangeMessageVisibilityBatchCommand,
  DeleteMessageBatchCommand,
  GetQueueAttributesCommand,
  ReceiveMessageCommand,
  SendMessageCommand,
  type SQSClient,
} from "@aws-sdk/client-sqs";
import type { Log } from "../../shared/observability/log.ts";
import {
  KID_ATTRIBUTE,
  ORIGIN_ATTRIBUTE,
  REASON_ATTRIBUTE,
  SIGNATURE_ATTRIBUTE,
} from "../../shared/queue/message.ts";
import type { Message, Queue } from "../heartbeat/queue-message.ts";

const WAIT_SECONDS = 20;
/** Longer than the long poll: a receive that is still silent then hangs, and is given up with all its retries. */
const RECEIVE_TIMEOUT_MS = 30_000;
const MESSAGES_MAX = 10;

/** A receive under way when the worker is told to stop may still bring messages: they would be invisible for long. */
const STOP_GRACE_MS = 300;

/** Aborts some time after `signal` does, and in any case when the receive is certain to hang. */
function boundedBy(signal: AbortSignal): { signal: AbortSignal; done: () => void } {
  const receive = new AbortController();
  const timers = [setTimeout(() => receive.abort(), RECEIVE_TIMEOUT_MS)];
  const stop = () => void timers.push(setTimeout(() => receive.abort(), STOP_GRACE_MS));
  if (signal.aborted) stop();
  else signal.addEventListener("abort", stop, { once: true });
  const done = () => {
    signal.removeEventListener("abort", stop);
    for (const timer of timers) clearTimeout(timer);
  };
  return { signal: receive.signal, done };
}

/** SQS behind the three verbs the worker needs. */
export function createQueue(
  client: SQSClient,
  queueUrl: string,
  deadLetterUrl: string,
  log: Log,
): Queue & { deadLetters(): Promise<number> } {
  return {
    /** How many messages the dead-letter queue holds, as far as SQS knows. */
    async deadLetters() {
      const name = "ApproximateNumberOfMessages";
      const { Attributes } = await client.send(
        new GetQueueAttributesCommand({ QueueUrl: deadLetterUrl, AttributeNames: [name] }),
      );
      const count = Number(Attributes?.[name]);
      if (!Number.isInteger(count)) throw new Error("SQS did not say how many dead letters there are");
      return count;
    },

    async receive(signal) {
      const command = new ReceiveMessageCommand({
        QueueUrl: queueUrl,
        MaxNumberOfMessages: MESSAGES_MAX,
        WaitTimeSeconds: WAIT_SECONDS,
        MessageAttributeNames: [KID_ATTRIBUTE, SIGNATURE_ATTRIBUTE],
        MessageSystemAttributeNames: ["ApproximateReceiveCount", "SentTimestamp"],
      });
      const bound = boundedBy(signal);
      const answer = await client.send(command, { abortSignal: bound.signal }).finally(bound.done);
      return (answer.Messages ?? []).flatMap((message): Message[] => {
        const { MessageId: id, ReceiptHandle: receipt } = message;
        if (!id || !receipt) {
          log("warn", "message.incomplete", { messageId: id, reason: "it has no id or no receipt handle" });
          return [];
        }
        const kid = message.MessageAttributes?.[KID_ATTRIBUTE]?.StringValue;
        const signature = message.MessageAttributes?.[SIGNATURE_ATTRIBUTE]?.StringValue;
        const one: Message = {
          id,
          receipt,
          body: message.Body ?? "",
          receives: Number(message.Attributes?.ApproximateReceiveCount ?? 1),
          sentAtMs: Number(message.Attributes?.SentTimestamp ?? 0) || 0,
          ...(kid !== undefined && { kid }),
          ...(signature !== undefined && { signature }),
        };
        return [one];
      });
    },

    async remove(messages) {
      if (messages.length === 0) return;
      const Entries = messages.map(({ receipt }, index) => ({ Id: String(index), ReceiptHandle: receipt }));
      const answer = await client.send(new DeleteMessageBatchCommand({ QueueUrl: queueUrl, Entries }));
      logUnsettled("message.not-removed", messages, answer, log);
      // The service's own fault: try again. A receipt that is no longer valid stays so.
      if (answer.Failed?.some(({ SenderFault }) => SenderFault === false))
        throw new Error("SQS did not remove every message");
    },

    async extend(messages, seconds) {
      const Entries = messages.map(({ receipt }, index) => ({
        Id: String(index),
        ReceiptHandle: receipt,
        VisibilityTimeout: seconds,
      }));
      const command = new ChangeMessageVisibilityBatchCommand({ QueueUrl: queueUrl, Entries });
      logUnsettled("message.not-extended", messages, await client.send(command), log);
    },

    async bury({ body, reason, origin, kid, signature }) {
      const attribute = (value: string) => ({ DataType: "String", StringValue: value });
      const answer = await client.send(
        new SendMessageCommand({
          QueueUrl: deadLetterUrl,
          MessageBody: body,
          MessageAttributes: {
            [REASON_ATTRIBUTE]: attribute(reason),
            [ORIGIN_ATTRIBUTE]: attribute(origin),
            ...(kid !== undefined && { [KID_ATTRIBUTE]: attribute(kid) }),
            ...(signature !== undefined && { [SIGNATURE_ATTRIBUTE]: attribute(signature) }),
          },
        }),
      );
      // The message is removed from its own queue next, so a 200 alone is not enough: the SDK's check is off here.
      if (!answer.MessageId || answer.MD5OfMessageBody !== Bun.MD5.hash(body, "hex"))
        throw new Error("the dead-letter queue answered 200 without proof that it holds the message");
    },
  };
}

type BatchAnswer = {
  Successful?: { Id: string | undefined }[] | undefined;
  Failed?: { Id: string | undefined; Code: string | undefined }[] | undefined;
};

/** Logs each message that a batch answer does not name as successful: refused, or not accounted for at all. */
function logUnsettled(
  event: string,
  messages: readonly Message[],
  { Successful = [], Failed = [] }: BatchAnswer,
  log: Log,
): void {
  const settled = new Set(Successful.map(({ Id }) => Id));
  const codes = new Map(Failed.map(({ Id, Code }) => [Id, Code ?? "Failed"]));
  for (const [index, { id }] of messages.entries()) {
    const code = codes.get(String(index)) ?? (settled.has(String(index)) ? undefined : "NotInTheAnswer");
    if (code !== undefined) log("warn", event, { messageId: id, code });
  }
}
