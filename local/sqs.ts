import { buildApp } from "fauxqs";

/** Runs the embedded SQS with the heartbeat queue and its dead-letter queue, in memory, until SIGTERM. */

export const QUEUE_NAME = "lifecyclezero-heartbeats";
export const DEAD_LETTER_NAME = "lifecyclezero-heartbeats-dead";

const ACCOUNT = "000000000000";

/** A message that fails this often is set aside by the queue itself. */
const RECEIVES_MAX = 5;
const VISIBILITY_SECONDS = 60;

export async function startSqs(port = 0, visibilitySeconds = VISIBILITY_SECONDS) {
  // Not its own start, which listens on every address whatever host it is given.
  const app = buildApp({ logger: false });
  const endpoint = await app.listen({ port, host: "127.0.0.1" });
  const call = async (action: string, input: object): Promise<{ Attributes?: Record<string, string> }> => {
    const answer = await fetch(endpoint, {
      method: "POST",
      headers: { "content-type": "application/x-amz-json-1.0", "x-amz-target": `AmazonSQS.${action}` },
      body: JSON.stringify(input),
    });
    if (!answer.ok) throw new Error(`${action}: ${await answer.text()}`);
    return (await answer.json()) as { Attributes?: Record<string, string> };
  };
  // Its own queue URLs name a virtual host that does not resolve; the path is what identifies a queue.
  const urlOf = (name: string) => `${endpoint}/${ACCOUNT}/${name}`;
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
  const stop = async (): Promise<void> => app.close();
  return { stop, endpoint, queueUrl: urlOf(QUEUE_NAME), deadLetterUrl: urlOf(DEAD_LETTER_NAME) };
}

if (import.meta.main) {
  const { stop, ...where } = await startSqs(
    Number(process.env.PORT ?? 0),
    Number(process.env.LZ_VISIBILITY_SECONDS ?? VISIBILITY_SECONDS),
  );
  console.log(JSON.stringify({ stage: "sqs", event: "sqs.listening", ...where }));
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, () => void stop().finally(() => process.exit(0)));
  }
}
