import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { type Stage, startStage } from "../../../local/stage.ts";
import { fromUtf8 } from "../../../shared/encoding/bytes.ts";
import { encodeEntry, encodePack } from "../../../shared/queue/message.ts";
import { ROOT } from "../../support/stack.ts";

describe("the counting proxy", () => {
  let where: { sqs: string; dynamodb: string; control: string };
  let proxy: Stage;
  const behind = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => Response.json({}) });
  const queueUrl = `${behind.url.origin}/000000000000/heartbeats`;
  beforeAll(async () => {
    proxy = await startStage({
      name: "proxy",
      command: [process.execPath, join(ROOT, "bench/pipeline/counting-proxy.ts")],
      env: { SQS_ENDPOINT: behind.url.origin, DYNAMODB_ENDPOINT: behind.url.origin, QUEUE_URL: queueUrl },
      cwd: ROOT,
      onLine: () => {},
      isReady: (line) => {
        if (!line.includes('"proxy.listening"')) return false;
        where = JSON.parse(line);
        return true;
      },
    });
  });
  afterAll(async () => {
    await proxy?.stop();
    await behind.stop(true);
  });

  const entry = { assetId: "01BENCH", receivedAt: "2026-11-20T00:00:00.000Z", body: "{}" };
  const pack = fromUtf8(encodePack("org_bench", [encodeEntry(entry), encodeEntry(entry)]));
  const call = async (endpoint: string, target: string, body: object) => {
    const headers = { "x-amz-target": target };
    await fetch(endpoint, { method: "POST", headers, body: JSON.stringify(body) });
  };
  const send = (url: string) =>
    call(where.sqs, "AmazonSQS.SendMessage", { QueueUrl: url, MessageBody: pack });
  const counts = async () => (await fetch(`${where.control}/counts`)).json() as Promise<unknown>;

  test("counts requests with an action, and no request of another program that finds the port", async () => {
    await send(queueUrl);
    await call(where.dynamodb, "DynamoDB_20120810.GetItem", {});
    await call(where.sqs, "DynamoDB_20120810.PutItem", {});
    await call(where.dynamodb, "AmazonSQS.SendMessage", {});
    for (const endpoint of [where.sqs, where.dynamodb, where.control]) {
      for (const method of ["GET", "POST"]) await fetch(`${endpoint}/v1/models`, { method });
    }
    expect(await counts()).toMatchObject({
      sqsCalls: { SendMessage: 1 },
      sqsBilled: { SendMessage: 1 },
      dynamoCalls: { GetItem: 1 },
      writes: {},
      flow: { accepted: { messages: 1, heartbeats: { org_bench: 2 } } },
    });
  });

  test("bills a message to the dead-letter queue, and does not count it as a queued heartbeat", async () => {
    await send(`${queueUrl}-dead`);
    expect(await counts()).toMatchObject({
      sqsBilled: { SendMessage: 2 },
      flow: { accepted: { messages: 1, heartbeats: { org_bench: 2 } } },
    });
  });
});
