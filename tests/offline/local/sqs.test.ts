import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startSqs } from "../../../local/sqs.ts";

type Received = {
  Body: string;
  ReceiptHandle: string;
  MessageAttributes?: Record<string, { StringValue: string }>;
};

const post = (endpoint: string, action: string, body: object) =>
  fetch(endpoint, {
    method: "POST",
    headers: { "content-type": "application/x-amz-json-1.0", "x-amz-target": `AmazonSQS.${action}` },
    body: JSON.stringify(body),
  });

async function receive(endpoint: string, QueueUrl: string): Promise<Received[]> {
  const input = { QueueUrl, MaxNumberOfMessages: 10, MessageAttributeNames: ["All"] };
  const { Messages = [] } = (await (await post(endpoint, "ReceiveMessage", input)).json()) as {
    Messages?: Received[];
  };
  return Messages;
}

const send = (endpoint: string, QueueUrl: string, MessageBody: string, more: object = {}) =>
  post(endpoint, "SendMessage", { QueueUrl, MessageBody, ...more });

describe("the embedded queue", () => {
  let folder: string;
  let backupFile: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "lz-sqs-"));
    backupFile = join(folder, "queue.json");
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  test("keeps over a restart every message that was not deleted: waiting, received or dead", async () => {
    const first = await startSqs({ backupFile });
    const attribute = { DataType: "String", StringValue: "k1" };
    await send(first.endpoint, first.queueUrl, "removed");
    const [gone] = await receive(first.endpoint, first.queueUrl);
    await post(first.endpoint, "DeleteMessage", {
      QueueUrl: first.queueUrl,
      ReceiptHandle: gone!.ReceiptHandle,
    });
    await send(first.endpoint, first.queueUrl, "received", { MessageAttributes: { kid: attribute } });
    expect(await receive(first.endpoint, first.queueUrl)).toHaveLength(1);
    await send(first.endpoint, first.queueUrl, "waiting");
    await send(first.endpoint, first.deadLetterUrl, "dead");
    expect(await first.stop()).toBe(3);
    expect(statSync(backupFile).mode & 0o077).toBe(0);

    const second = await startSqs({ backupFile });
    expect(second.restored).toBe(3);
    const messages = await receive(second.endpoint, second.queueUrl);
    expect(messages.map(({ Body }) => Body).sort()).toEqual(["received", "waiting"]);
    expect(messages.find(({ Body }) => Body === "received")!.MessageAttributes!.kid!.StringValue).toBe("k1");
    expect((await receive(second.endpoint, second.deadLetterUrl)).map(({ Body }) => Body)).toEqual(["dead"]);
    await second.stop();
  });

  test("deletes the backup if no message waits, so that old messages cannot come back", async () => {
    const first = await startSqs({ backupFile });
    await send(first.endpoint, first.queueUrl, "one");
    await first.stop();
    const second = await startSqs({ backupFile });
    const [message] = await receive(second.endpoint, second.queueUrl);
    await post(second.endpoint, "DeleteMessage", {
      QueueUrl: second.queueUrl,
      ReceiptHandle: message!.ReceiptHandle,
    });
    expect(await second.stop()).toBe(0);
    expect(existsSync(backupFile)).toBe(false);
  });

  test("acknowledges only messages that are in the backup, also while it stops", async () => {
    const queue = await startSqs({ backupFile });
    const accepted: string[] = [];
    let isSending = true;
    const senders = Array.from({ length: 8 }, async (_, sender) => {
      for (let sequence = 0; isSending; sequence++) {
        const body = `${sender}-${sequence}`;
        const answer = await send(queue.endpoint, queue.queueUrl, body).catch(() => undefined);
        if (answer?.status === 200) accepted.push(body);
        if (answer === undefined) await Bun.sleep(1);
      }
    });
    while (accepted.length < 200) await Bun.sleep(1);
    await queue.stop();
    isSending = false;
    await Promise.all(senders);
    const saved: { body: string }[] = JSON.parse(readFileSync(backupFile, "utf8")).queues[
      "lifecyclezero-heartbeats"
    ];
    const bodies = new Set(saved.map(({ body }) => body));
    expect(accepted.filter((body) => !bodies.has(body))).toEqual([]);
  });

  test("does not start with a damaged backup, and names the file", async () => {
    writeFileSync(backupFile, '{"version":1,"queues":{"lifecyclezero');
    expect(startSqs({ backupFile })).rejects.toThrow(
      `${backupFile} is not a queue backup: delete it to start with an empty queue`,
    );
  });
});
