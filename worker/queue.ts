import {
  DeleteMessageBatchCommand,
  ReceiveMessageCommand,
  SendMessageCommand,
  type SQSClient,
} from "@aws-sdk/client-sqs";
import type { Log } from "../shared/log.ts";
import {
  KID_ATTRIBUTE,
  ORIGIN_ATTRIBUTE,
  REASON_ATTRIBUTE,
  SIGNATURE_ATTRIBUTE,
} from "../shared/queue/message.ts";
import type { Message, Queue } from "./deps.ts";

const WAIT_SECONDS = 20;
const MESSAGES_MAX = 10;

/** SQS behind the three verbs the worker needs. */
export function createQueue(client: SQSClient, queueUrl: string, deadLetterUrl: string, log: Log): Queue {
  return {
    async receive(signal) {
      const command = new ReceiveMessageCommand({
        QueueUrl: queueUrl,
        MaxNumberOfMessages: MESSAGES_MAX,
        WaitTimeSeconds: WAIT_SECONDS,
        MessageAttributeNames: [KID_ATTRIBUTE, SIGNATURE_ATTRIBUTE],
        MessageSystemAttributeNames: ["ApproximateReceiveCount"],
      });
      const answer = await client.send(command, { abortSignal: signal });
      return (answer.Messages ?? []).map((message): Message => {
        const kid = message.MessageAttributes?.[KID_ATTRIBUTE]?.StringValue;
        const signature = message.MessageAttributes?.[SIGNATURE_ATTRIBUTE]?.StringValue;
        return {
          id: message.MessageId!,
          receipt: message.ReceiptHandle!,
          body: message.Body ?? "",
          receives: Number(message.Attributes?.ApproximateReceiveCount ?? 1),
          ...(kid !== undefined && { kid }),
          ...(signature !== undefined && { signature }),
        };
      });
    },

    async remove(messages) {
      if (messages.length === 0) return;
      const Entries = messages.map(({ receipt }, index) => ({ Id: String(index), ReceiptHandle: receipt }));
      const answer = await client.send(new DeleteMessageBatchCommand({ QueueUrl: queueUrl, Entries }));
      for (const failure of answer.Failed ?? []) {
        log("warn", "message.not-removed", {
          messageId: messages[Number(failure.Id)]?.id,
          code: failure.Code,
        });
      }
    },

    async bury({ body, reason, origin }) {
      const attribute = (value: string) => ({ DataType: "String", StringValue: value });
      await client.send(
        new SendMessageCommand({
          QueueUrl: deadLetterUrl,
          MessageBody: body,
          MessageAttributes: { [REASON_ATTRIBUTE]: attribute(reason), [ORIGIN_ATTRIBUTE]: attribute(origin) },
        }),
      );
    },
  };
}
