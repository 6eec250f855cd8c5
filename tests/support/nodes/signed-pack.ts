import { base64url, fromBase64url, fromUtf8, utf8 } from "../../../shared/encoding/bytes.ts";
import {
  type Entry,
  encodeEntry,
  encodePack,
  KID_ATTRIBUTE,
  REASON_ATTRIBUTE,
  SIGNATURE_ATTRIBUTE,
} from "../../../shared/queue/message.ts";
import { importHmacKey } from "../../../shared/wire/signature.ts";
import type { TestStack } from "../stack.ts";

type Attributes = Record<string, { DataType: "String"; StringValue: string }>;
export type RawMessage = { body: string; attributes: Attributes };

const attribute = (value: string) => ({ DataType: "String" as const, StringValue: value });

async function sqs(stack: TestStack, action: string, input: object): Promise<Record<string, unknown>> {
  const answer = await fetch(stack.sqsEndpoint, {
    method: "POST",
    headers: { "content-type": "application/x-amz-json-1.0", "x-amz-target": `AmazonSQS.${action}` },
    body: JSON.stringify(input),
  });
  if (!answer.ok) throw new Error(`${action}: ${await answer.text()}`);
  return (await answer.json()) as Record<string, unknown>;
}

/** Creates a batch that is signed like a batch of the edge. */
export async function signedPack(stack: TestStack, tenantId: string, entries: Entry[]): Promise<RawMessage> {
  const [kid, secret] = stack.secrets.queueKeys.split(":");
  const key = await importHmacKey(fromBase64url(secret!)!, ["sign"]);
  const body = fromUtf8(encodePack(tenantId, entries.map(encodeEntry)));
  const signature = base64url(new Uint8Array(await crypto.subtle.sign("HMAC", key, utf8(body))));
  return {
    body,
    attributes: { [KID_ATTRIBUTE]: attribute(kid!), [SIGNATURE_ATTRIBUTE]: attribute(signature) },
  };
}

export async function sendRaw(stack: TestStack, { body, attributes }: RawMessage): Promise<void> {
  await sqs(stack, "SendMessage", {
    QueueUrl: stack.queueUrl,
    MessageBody: body,
    ...(Object.keys(attributes).length > 0 && { MessageAttributes: attributes }),
  });
}

/** Receives and deletes every dead letter. Returns their bodies and reasons. */
export async function takeDeadLetters(stack: TestStack): Promise<{ body: string; reason?: string }[]> {
  const taken: { body: string; reason?: string }[] = [];
  while (true) {
    const { Messages } = (await sqs(stack, "ReceiveMessage", {
      QueueUrl: stack.deadLetterUrl,
      MaxNumberOfMessages: 10,
      WaitTimeSeconds: 0,
      MessageAttributeNames: ["All"],
    })) as { Messages?: { Body: string; ReceiptHandle: string; MessageAttributes?: Attributes }[] };
    if (!Messages || Messages.length === 0) return taken;
    for (const message of Messages) {
      const reason = message.MessageAttributes?.[REASON_ATTRIBUTE]?.StringValue;
      taken.push(reason === undefined ? { body: message.Body } : { body: message.Body, reason });
      await sqs(stack, "DeleteMessage", {
        QueueUrl: stack.deadLetterUrl,
        ReceiptHandle: message.ReceiptHandle,
      });
    }
  }
}

/** Returns the number of waiting messages, and of messages that are received but not deleted. */
export async function queueDepth(stack: TestStack): Promise<{ waiting: number; inFlight: number }> {
  const { Attributes } = (await sqs(stack, "GetQueueAttributes", {
    QueueUrl: stack.queueUrl,
    AttributeNames: ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"],
  })) as { Attributes: Record<string, string> };
  return {
    waiting: Number(Attributes.ApproximateNumberOfMessages),
    inFlight: Number(Attributes.ApproximateNumberOfMessagesNotVisible),
  };
}
