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
/** Timeout of a receive, with all its retries. Longer than the long poll of {@link WAIT_SECONDS}. */
const RECEIVE_TIMEOUT_MS = 30_000;
const MESSAGES_MAX = 10;

/**
 * Grace period of a receive at shutdown. Messages of an aborted receive would stay invisible for the
 * visibility timeout.
 */
const STOP_GRACE_MS = 300;

/**
 * Signal that aborts {@link STOP_GRACE_MS} after `signal`, and after {@link RECEIVE_TIMEOUT_MS} in any case.
 */
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

/** SQS client with the operations that the worker needs. */
export function createQueue(
  client: SQSClient,
  queueUrl: string,
  deadLetterUrl: string,
  log: Log,
): Queue & { deadLetters(): Promise<number> } {
  return {
    /** Approximate number of messages in the dead-letter queue. */
    async deadLetters() {
      const name = "ApproximateNumberOfMessages";
      const { Attributes } = await client.send(
        new GetQueueAttributesCommand({ QueueUrl: deadLetterUrl, AttributeNames: [name] }),
      );
      const count = Number(Attributes?.[name]);
      if (!Number.isInteger(count))
        throw new Error("SQS returned no ApproximateNumberOfMessages for the dead-letter queue");
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
          log("warn", "message.incomplete", {
            messageId: id,
            reason: "the message has no id or no receipt handle",
          });
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
      // `SenderFault: false` is an error of SQS: retry. An expired receipt handle never becomes valid again.
      if (answer.Failed?.some(({ SenderFault }) => SenderFault === false))
        throw new Error("SQS did not delete every message");
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
      // The message is deleted from its own queue next. The MD5 check of the SDK is off, so the MD5 is
      // compared here.
      if (!answer.MessageId || answer.MD5OfMessageBody !== Bun.MD5.hash(body, "hex"))
        throw new Error(
          "The dead-letter queue responded with 200, but without the message id and MD5 of the message.",
        );
    },
  };
}

type BatchAnswer = {
  Successful?: { Id: string | undefined }[] | undefined;
  Failed?: { Id: string | undefined; Code: string | undefined }[] | undefined;
};

/** Logs each message that the batch response does not list as successful. */
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
