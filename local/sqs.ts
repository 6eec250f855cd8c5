import { buildApp } from "fauxqs";
import { countMessages, type QueueMessage, readQueueBackup, writeQueueBackup } from "./queue-backup.ts";

/** Runs the embedded SQS with the heartbeat queue and its dead-letter queue until SIGTERM. */

export const QUEUE_NAME = "lifecyclezero-heartbeats";
export const DEAD_LETTER_NAME = "lifecyclezero-heartbeats-dead";

const ACCOUNT = "000000000000";

/** Number of receives after which the queue moves a message to the dead-letter queue. */
const RECEIVES_MAX = 5;
const VISIBILITY_SECONDS = 60;
/** Path of the emulator's inspection API: https://github.com/kibertoad/fauxqs#queue-inspection */
const INSPECT_PATH = "/_fauxqs/queues/";

type HeldMessage = {
  body: string;
  messageAttributes: Record<string, unknown>;
};
type Inspection = {
  messages: { ready: HeldMessage[]; delayed: HeldMessage[]; inflight: { message: HeldMessage }[] };
};

type Reply = { code(status: number): { send(): unknown } };

export type SqsOptions = {
  port?: number;
  visibilitySeconds?: number;
  /**
   * File that stores the messages while the queue is stopped. If absent, the messages are lost when the queue
   * stops.
   */
  backupFile?: string;
};

/** Starts the embedded SQS with both queues, and restores the messages from the backup. */
export async function startSqs({
  port = 0,
  visibilitySeconds = VISIBILITY_SECONDS,
  backupFile,
}: SqsOptions = {}) {
  // startFauxqs() can persist messages, but it listens on every address of the machine.
  const app = buildApp({ logger: false });
  let isStopping = false;
  app.addHook("onRequest", async (request: { url: string }, reply: Reply) => {
    // Reject new messages during a stop: a message that arrives after the backup would be lost.
    if (isStopping && !request.url.startsWith(INSPECT_PATH)) await reply.code(503).send();
  });
  const endpoint = await app.listen({ port, host: "127.0.0.1" });
  const call = (action: string, input: object) => callSqs(endpoint, action, input);
  // The emulator's own queue URLs contain a host name that does not resolve. The path alone identifies a
  // queue.
  const urlOf = (name: string) => `${endpoint}/${ACCOUNT}/${name}`;
  await createQueues(call, urlOf, visibilitySeconds);
  const restored = backupFile ? await restoreMessages(backupFile, call, urlOf) : 0;

  const saveMessages = async (): Promise<number> => {
    if (backupFile === undefined) return 0;
    const queues: Record<string, QueueMessage[]> = {};
    for (const name of [QUEUE_NAME, DEAD_LETTER_NAME]) queues[name] = await heldMessages(endpoint, name);
    writeQueueBackup(backupFile, { version: 1, queues });
    return countMessages({ version: 1, queues });
  };
  /** Stops the queue. Resolves to the number of messages in the backup. */
  const stop = async (): Promise<number> => {
    isStopping = true;
    const saved = await saveMessages();
    await app.close();
    return saved;
  };
  return { stop, restored, endpoint, queueUrl: urlOf(QUEUE_NAME), deadLetterUrl: urlOf(DEAD_LETTER_NAME) };
}

type Call = (action: string, input: object) => Promise<{ Attributes?: Record<string, string> }>;

async function callSqs(endpoint: string, action: string, input: object) {
  const answer = await fetch(endpoint, {
    method: "POST",
    headers: { "content-type": "application/x-amz-json-1.0", "x-amz-target": `AmazonSQS.${action}` },
    body: JSON.stringify(input),
  });
  if (!answer.ok) throw new Error(`${action}: ${await answer.text()}`);
  return (await answer.json()) as { Attributes?: Record<string, string> };
}

async function createQueues(call: Call, urlOf: (name: string) => string, visibilitySeconds: number) {
  const create = (QueueName: string, Attributes: Record<string, string>) =>
    call("CreateQueue", { QueueName, Attributes });
  await create(DEAD_LETTER_NAME, { MessageRetentionPeriod: "1209600" });
  const dead = await call("GetQueueAttributes", {
    QueueUrl: urlOf(DEAD_LETTER_NAME),
    AttributeNames: ["QueueArn"],
  });
  await create(QUEUE_NAME, {
    VisibilityTimeout: String(visibilitySeconds),
    MessageRetentionPeriod: "345600",
    RedrivePolicy: JSON.stringify({
      deadLetterTargetArn: dead.Attributes!.QueueArn,
      maxReceiveCount: RECEIVES_MAX,
    }),
  });
}

/** All messages of a queue, including messages in flight, because their receiver may not have recorded them. */
async function heldMessages(endpoint: string, queue: string): Promise<QueueMessage[]> {
  const answer = await fetch(`${endpoint}${INSPECT_PATH}${queue}`);
  if (!answer.ok) throw new Error(`cannot read the messages of ${queue}: ${answer.status}`);
  const { messages } = (await answer.json()) as Inspection;
  const held = [...messages.inflight.map(({ message }) => message), ...messages.ready, ...messages.delayed];
  return held.map(({ body, messageAttributes }) => ({ body, attributes: messageAttributes }));
}

/**
 * Sends the messages from the backup. The file stays until the next backup, because recording a heartbeat is
 * idempotent.
 */
async function restoreMessages(file: string, call: Call, urlOf: (name: string) => string): Promise<number> {
  const backup = readQueueBackup(file);
  for (const [name, messages] of Object.entries(backup.queues)) {
    const QueueUrl = urlOf(name);
    for (const { body, attributes } of messages)
      await call("SendMessage", { QueueUrl, MessageBody: body, MessageAttributes: attributes });
  }
  return countMessages(backup);
}

async function main(): Promise<void> {
  const { stop, ...started } = await startSqs({
    port: Number(process.env.PORT ?? 0),
    visibilitySeconds: Number(process.env.LZ_VISIBILITY_SECONDS ?? VISIBILITY_SECONDS),
    ...(process.env.LZ_QUEUE_FILE && { backupFile: process.env.LZ_QUEUE_FILE }),
  });
  const say = (event: string, fields: object) =>
    console.log(JSON.stringify({ stage: "sqs", event, ...fields }));
  say("sqs.listening", started);
  const stopOnce = async () => {
    try {
      say("sqs.stopped", { messages: await stop() });
      process.exit(0);
    } catch (error) {
      console.error(
        `the queue could not save its messages: ${error instanceof Error ? error.message : error}`,
      );
      process.exit(1);
    }
  };
  let isStopping = false;
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.on(signal, () => {
      if (!isStopping) void stopOnce();
      isStopping = true;
    });
  }
}

if (import.meta.main) {
  await main().catch((error: unknown) => {
    console.error(error instanceof Error ? error.message : error);
    process.exit(1);
  });
}
