import {
  ChangeMessageVisibilityBatchCommand,
  DeleteMessageBatchCommand,
  GetQueueAttributesCommand,
  ReceiveMessageCommand,
  SendMessageCommand,
  type SQSClient,
  type Message as SqsMessage,
} from "@aws-sdk/client-sqs";
import type { Log } from "../../shared/observability/log.ts";
import {
  KID_ATTRIBUTE,
  ORIGIN_ATTRIBUTE,
  REASON_ATTRIBUTE,
  SIGNATURE_ATTRIBUTE,
} from "../../shared/queue/message.ts";
import type { DeadLetter, Message, Queue } from "../heartbeat/queue-message.ts";

const WAIT_SECONDS = 20;
/**
 * Timeout of a receive with all its retries, in milliseconds. It is longer than the long poll of {@link
 * WAIT_SECONDS}.
 */
const RECEIVE_TIMEOUT_MS = 30_000;
const MESSAGES_MAX = 10;

/**
 * Grace period of a receive at shutdown, in milliseconds. If a receive is aborted, its messages stay
 * invisible for the visibility timeout.
 */
const STOP_GRACE_MS = 300;

/**
 * Creates a signal that aborts {@link STOP_GRACE_MS} after `signal`, and after {@link RECEIVE_TIMEOUT_MS} in
 * any case.
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

type Sqs = { client: SQSClient; queueUrl: string; deadLetterUrl: string; log: Log };

/** Creates an SQS client with the operations that the worker needs. */
export function createQueue(
  client: SQSClient,
  queueUrl: string,
  deadLetterUrl: string,
  log: Log,
): Queue & { deadLetters(): Promise<number> } {
  const sqs = { client, queueUrl, deadLetterUrl, log };
  return {
    deadLetters: () => countDeadLetters(sqs),
    receive: (signal) => receive(sqs, signal),
    remove: (messages) => remove(sqs, messages),
    extend: (messages, seconds) => extend(sqs, messages, seconds),
    bury: (letter) => bury(sqs, letter),
  };
}

/** Approximate number of messages in the dead-letter queue. */
async function countDeadLetters({ client, deadLetterUrl }: Sqs): Promise<number> {
  const name = "ApproximateNumberOfMessages";
  const { Attributes } = await client.send(
    new GetQueueAttributesCommand({ QueueUrl: deadLetterUrl, AttributeNames: [name] }),
  );
  const count = Number(Attributes?.[name]);
  if (!Number.isInteger(count))
    throw new Error("SQS returned no ApproximateNumberOfMessages for the dead-letter queue");
  return count;
}

async function receive({ client, queueUrl, log }: Sqs, signal: AbortSignal): Promise<Message[]> {
  const command = new ReceiveMessageCommand({
    QueueUrl: queueUrl,
    MaxNumberOfMessages: MESSAGES_MAX,
    WaitTimeSeconds: WAIT_SECONDS,
    MessageAttributeNames: [KID_ATTRIBUTE, SIGNATURE_ATTRIBUTE],
    MessageSystemAttributeNames: ["ApproximateReceiveCount", "SentTimestamp"],
  });
  const bound = boundedBy(signal);
  const response = await client.send(command, { abortSignal: bound.signal }).finally(bound.done);
  return (response.Messages ?? []).flatMap((received): Message[] => {
    const message = messageOf(received);
    if (message) return [message];
    const reason = "the message has no id or no receipt handle";
    log("warn", "message.incomplete", { messageId: received.MessageId, reason });
    return [];
  });
}

function messageOf(received: SqsMessage): Message | undefined {
  const { MessageId: id, ReceiptHandle: receipt } = received;
  if (!id || !receipt) return undefined;
  const kid = received.MessageAttributes?.[KID_ATTRIBUTE]?.StringValue;
  const signature = received.MessageAttributes?.[SIGNATURE_ATTRIBUTE]?.StringValue;
  return {
    id,
    receipt,
    body: received.Body ?? "",
    receives: Number(received.Attributes?.ApproximateReceiveCount ?? 1),
    sentAtMs: Number(received.Attributes?.SentTimestamp ?? 0) || 0,
    ...(kid !== undefined && { kid }),
    ...(signature !== undefined && { signature }),
  };
}

async function remove({ client, queueUrl, log }: Sqs, messages: readonly Message[]): Promise<void> {
  if (messages.length === 0) return;
  const Entries = messages.map(({ receipt }, index) => ({ Id: String(index), ReceiptHandle: receipt }));
  const response = await client.send(new DeleteMessageBatchCommand({ QueueUrl: queueUrl, Entries }));
  logUnsettled("message.not-removed", messages, response, log);
  // `SenderFault: false` means an error of SQS, which is retried. An expired receipt handle never becomes
  // valid again.
  if (response.Failed?.some(({ SenderFault }) => SenderFault === false))
    throw new Error("SQS did not delete every message");
}

async function extend(
  { client, queueUrl, log }: Sqs,
  messages: readonly Message[],
  seconds: number,
): Promise<void> {
  const Entries = messages.map(({ receipt }, index) => ({
    Id: String(index),
    ReceiptHandle: receipt,
    VisibilityTimeout: seconds,
  }));
  const command = new ChangeMessageVisibilityBatchCommand({ QueueUrl: queueUrl, Entries });
  logUnsettled("message.not-extended", messages, await client.send(command), log);
}

/** Sends a dead letter. Rejects unless SQS confirms that it stored exactly this body. */
async function bury(
  { client, deadLetterUrl }: Sqs,
  { body, reason, origin, kid, signature }: DeadLetter,
): Promise<void> {
  const attribute = (value: string) => ({ DataType: "String", StringValue: value });
  const response = await client.send(
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
  // After this, the message is deleted from its own queue. The MD5 check of the SDK is off, so the MD5 is
  // compared here.
  if (!response.MessageId || response.MD5OfMessageBody !== Bun.MD5.hash(body, "hex")) {
    const problem = "without the message id and MD5 of the message";
    throw new Error(`The dead-letter queue responded with 200, but ${problem}.`);
  }
}

type BatchResponse = {
  Successful?: { Id: string | undefined }[] | undefined;
  Failed?: { Id: string | undefined; Code: string | undefined }[] | undefined;
};

/** Logs each message that the batch response does not list as successful. */
function logUnsettled(
  event: string,
  messages: readonly Message[],
  { Successful = [], Failed = [] }: BatchResponse,
  log: Log,
): void {
  const settled = new Set(Successful.map(({ Id }) => Id));
  const codes = new Map(Failed.map(({ Id, Code }) => [Id, Code ?? "Failed"]));
  for (const [index, { id }] of messages.entries()) {
    const code = codes.get(String(index)) ?? (settled.has(String(index)) ? undefined : "NotInTheAnswer");
    if (code !== undefined) log("warn", event, { messageId: id, code });
  }
}
