import { startFauxqs } from "fauxqs";

/** Runs the embedded SQS with the heartbeat queue and its dead-letter queue, in memory, until SIGTERM. */

export const QUEUE_NAME = "lifecyclezero-heartbeats";
export const DEAD_LETTER_NAME = "lifecyclezero-heartbeats-dead";

const ACCOUNT = "000000000000";

/** A message that fails this often is set aside by the queue itself. */
const RECEIVES_MAX = 5;
const VISIBILITY_SECONDS = 60;

export async function startSqs(port = 0, visibilitySeconds = VISIBILITY_SECONDS) {
  const server = await startFauxqs({ port, host: "127.0.0.1", logger: false });
  const dead = server.createQueue(DEAD_LETTER_NAME, { attributes: { MessageRetentionPeriod: "1209600" } });
  server.createQueue(QUEUE_NAME, {
    attributes: {
      VisibilityTimeout: String(visibilitySeconds),
      MessageRetentionPeriod: "345600",
      RedrivePolicy: JSON.stringify({ deadLetterTargetArn: dead.queueArn, maxReceiveCount: RECEIVES_MAX }),
    },
  });
  const endpoint = `http://127.0.0.1:${server.port}`;
  // Its own queue URLs name a virtual host that does not resolve; the path is what identifies a queue.
  const urlOf = (name: string) => `${endpoint}/${ACCOUNT}/${name}`;
  return { server, endpoint, queueUrl: urlOf(QUEUE_NAME), deadLetterUrl: urlOf(DEAD_LETTER_NAME) };
}

if (import.meta.main) {
  const { server, ...where } = await startSqs(
    Number(process.env.PORT ?? 0),
    Number(process.env.LZ_VISIBILITY_SECONDS ?? VISIBILITY_SECONDS),
  );
  console.log(JSON.stringify({ stage: "sqs", event: "sqs.listening", ...where }));
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, () => void server.stop().finally(() => process.exit(0)));
  }
}
