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
  REASON_ATTRIBUTE,
  REPLAYABLE_REASONS,
  SIGNATURE_ATTRIBUTE,
} from "../../shared/queue/message.ts";
import { openStack } from "../platform/connect.ts";
import type { Deps } from "../platform/deps.ts";
import { Failure } from "../platform/faults.ts";

type DeadLetter = {
  id: string;
  receipt: string;
  body: string;
  sentAt: string;
  /**
   * Reason for which the worker moved the message to this queue. Undefined if SQS moved it, after too many
   * receives.
   */
  reason: string | undefined;
  origin: string | undefined;
  /**
   * True if the message is signed and the cause of its failure may be fixed by now, so that the worker can
   * try again.
   */
  canReplay: boolean;
  attributes: Message["MessageAttributes"];
};

export type DeadLetterQueue = {
  /** Receives up to `limit` messages, which are hidden from other readers for `hiddenSeconds`. */
  take(limit: number, hiddenSeconds: number): Promise<DeadLetter[]>;
  /** Sends the message to the queue again, then deletes it from the dead-letter queue. */
  replay(letter: DeadLetter): Promise<void>;
};

/** Opens the dead-letter queue of `SQS_QUEUE_URL`, or of the local stack. */
export async function openDeadLetters(deps: Pick<Deps, "env" | "root">): Promise<DeadLetterQueue> {
  const { client, queueUrl } = connect(deps);
  const deadUrl = deps.env.SQS_DLQ_URL ?? (await redriveTarget(client, queueUrl));
  return {
    async take(limit, hiddenSeconds) {
      // Messages by id. A message can become visible again, with a newer receipt, while others are read.
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
    throw new Failure(
      "the queue does not respond: check that the stack runs and that the AWS credentials are right",
      {
        cause,
      },
    );
  });
  const arn = /"deadLetterTargetArn":"([^"]+)"/.exec(answer.Attributes?.RedrivePolicy ?? "")?.[1];
  const name = arn?.split(":").at(-1);
  if (!name)
    throw new Failure("the queue has no dead-letter queue: set SQS_DLQ_URL, or deploy the template again");
  // The dead-letter queue is in the same account and region as the queue, so only the name in its URL
  // differs.
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
    canReplay: isSigned && (reason === undefined || REPLAYABLE_REASONS.has(reason)),
    attributes: message.MessageAttributes,
  };
}
