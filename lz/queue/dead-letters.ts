import {
  DeleteMessageCommand,
  GetQueueAttributesCommand,
  type Message,
  ReceiveMessageCommand,
  SendMessageCommand,
  SQSClient,
} from "@aws-sdk/client-sqs";
import {
  KID_ATTRIBUTE,
  ORIGIN_ATTRIBUTE,
  PASSING_REASONS,
  REASON_ATTRIBUTE,
  SIGNATURE_ATTRIBUTE,
} from "../../shared/queue/message.ts";
import { openStack } from "../platform/connect.ts";
import type { Deps } from "../platform/deps.ts";
import { Failure } from "../platform/faults.ts";

export type DeadLetter = {
  id: string;
  receipt: string;
  body: string;
  sentAt: string;
  /** Why the worker set it aside; absent for one the queue set aside after too many tries. */
  reason: string | undefined;
  origin: string | undefined;
  /** Signed, and set aside for what may have passed: it can be given to the worker again. */
  canReplay: boolean;
  attributes: Message["MessageAttributes"];
};

export type DeadLetterQueue = {
  /** Up to `limit` letters, hidden from other readers for `hiddenSeconds`. */
  take(limit: number, hiddenSeconds: number): Promise<DeadLetter[]>;
  /** Puts it on the queue again, and takes it out of here once that was accepted. */
  replay(letter: DeadLetter): Promise<void>;
};

/** The dead-letter queue of the configured queue (`SQS_QUEUE_URL`), or of the local stack. */
export async function openDeadLetters(deps: Pick<Deps, "env" | "root">): Promise<DeadLetterQueue> {
  const { client, queueUrl } = connect(deps);
  const deadUrl = deps.env.SQS_DLQ_URL ?? (await redriveTarget(client, queueUrl));
  return {
    async take(limit, hiddenSeconds) {
      // By id: what was read first may be visible again, under a newer receipt, before the last is read.
      const letters = new Map<string, DeadLetter>();
      while (letters.size < limit) {
        const command = new ReceiveMessageCommand({
          QueueUrl: deadUrl,
          MaxNumberOfMessages: Math.min(10, limit - letters.size),
          VisibilityTimeout: hiddenSeconds,
          WaitTimeSeconds: 1,
          MessageAttributeNames: ["All"],
          MessageSystemAttributeNames: ["SentTimestamp"],
        });
        const { Messages } = await client.send(command);
        const before = letters.size;
        for (const letter of (Messages ?? []).map(letterOf)) letters.set(letter.id, letter);
        if (letters.size === before) break;
      }
      return [...letters.values()];
    },
    async replay({ body, attributes, receipt }) {
      const MessageAttributes = Object.fromEntries(
        Object.entries(attributes ?? {}).filter(
          ([name]) => name === KID_ATTRIBUTE || name === SIGNATURE_ATTRIBUTE,
        ),
      );
      await client.send(new SendMessageCommand({ QueueUrl: queueUrl, MessageBody: body, MessageAttributes }));
      await client.send(new DeleteMessageCommand({ QueueUrl: deadUrl, ReceiptHandle: receipt }));
    },
  };
}

function connect(deps: Pick<Deps, "env" | "root">): { client: SQSClient; queueUrl: string } {
  const limits = { requestHandler: { connectionTimeout: 2000, requestTimeout: 8000 }, maxAttempts: 2 };
  if (deps.env.SQS_QUEUE_URL) {
    const client = new SQSClient({
      ...limits,
      ...(deps.env.SQS_ENDPOINT && { endpoint: deps.env.SQS_ENDPOINT }),
    });
    return { client, queueUrl: deps.env.SQS_QUEUE_URL };
  }
  const { sqsEndpoint, queueUrl } = openStack(deps);
  const credentials = { accessKeyId: "local", secretAccessKey: "local" };
  return {
    client: new SQSClient({ ...limits, endpoint: sqsEndpoint, region: "us-east-1", credentials }),
    queueUrl,
  };
}

async function redriveTarget(client: SQSClient, queueUrl: string): Promise<string> {
  const command = new GetQueueAttributesCommand({ QueueUrl: queueUrl, AttributeNames: ["RedrivePolicy"] });
  const answer = await client.send(command).catch((cause: unknown) => {
    throw new Failure("the queue does not answer: is the stack running, are the credentials right?", {
      cause,
    });
  });
  const arn = /"deadLetterTargetArn":"([^"]+)"/.exec(answer.Attributes?.RedrivePolicy ?? "")?.[1];
  const name = arn?.split(":").at(-1);
  if (!name) throw new Failure("the queue has no dead-letter queue");
  // A redrive target is of the same account and region, so its URL differs in the name alone.
  return queueUrl.replace(/[^/]+$/, name);
}

function letterOf(message: Message): DeadLetter {
  const attribute = (name: string) => message.MessageAttributes?.[name]?.StringValue;
  const reason = attribute(REASON_ATTRIBUTE);
  const isSigned = attribute(KID_ATTRIBUTE) !== undefined && attribute(SIGNATURE_ATTRIBUTE) !== undefined;
  return {
    id: message.MessageId ?? "",
    receipt: message.ReceiptHandle ?? "",
    body: message.Body ?? "",
    sentAt: new Date(Number(message.Attributes?.SentTimestamp ?? 0)).toISOString(),
    reason,
    origin: attribute(ORIGIN_ATTRIBUTE),
    canReplay: isSigned && (reason === undefined || PASSING_REASONS.has(reason)),
    attributes: message.MessageAttributes,
  };
}
