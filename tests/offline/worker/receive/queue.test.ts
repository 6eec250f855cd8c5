import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import { SQSClient } from "@aws-sdk/client-sqs";
import { REASONS } from "../../../../shared/queue/message.ts";
import type { Message } from "../../../../worker/heartbeat/queue-message.ts";
import { createQueue } from "../../../../worker/receive/sqs-queue.ts";
import { portalPage } from "../../../support/dynamo/dynamo-responses.ts";

let answer: (input: { Entries?: { Id: string }[] }) => Response;
const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  fetch: async (request) => answer((await request.json()) as { Entries?: { Id: string }[] }),
});
afterAll(() => server.stop(true));

const logged: object[] = [];
const client = new SQSClient({
  region: "us-east-1",
  endpoint: `http://127.0.0.1:${server.port}`,
  credentials: { accessKeyId: "local", secretAccessKey: "local" },
  md5: false, // the same setting as in worker/main.ts
  maxAttempts: 1,
});
const queue = createQueue(
  client,
  `${server.url}0/q`,
  `${server.url}0/dead`,
  (_level, event, fields) => void logged.push({ event, ...fields }),
);
const message = (id: string): Message => ({ id, receipt: `r-${id}`, body: "", receives: 1, sentAtMs: 0 });
const MESSAGES = [message("a"), message("b"), message("c")];
const letter = { body: "text", reason: REASONS.unsigned, origin: "a" };
const md5 = (text: string) => new Bun.CryptoHasher("md5").update(text).digest("hex");
const receive = () => queue.receive(new AbortController().signal);

beforeEach(() => {
  logged.length = 0;
});

describe("a page with status 200 is never success", () => {
  for (const [verb, run] of [
    ["receive", receive],
    ["remove", () => queue.remove(MESSAGES)],
    ["extend", () => queue.extend(MESSAGES, 60)],
    ["bury", () => queue.bury(letter)],
  ] as const)
    test(verb, async () => {
      answer = () => portalPage();
      await expect(run()).rejects.toThrow();
    });
});

describe.each([
  ["remove", "message.not-removed", () => queue.remove(MESSAGES)],
  ["extend", "message.not-extended", () => queue.extend(MESSAGES, 60)],
] as const)("%s()", (_verb, event, run) => {
  test("logs each message that the response does not list as successful", async () => {
    answer = () =>
      Response.json({
        Successful: [{ Id: "0" }, { Id: "7" }],
        Failed: [{ Id: "1", Code: "ReceiptHandleIsInvalid", SenderFault: true }],
      });
    await run();
    expect(logged).toEqual([
      { event, messageId: "b", code: "ReceiptHandleIsInvalid" },
      { event, messageId: "c", code: "NotInTheAnswer" },
    ]);
  });

  test("counts a message listed as both as failed", async () => {
    const Successful = ["0", "1", "2"].map((Id) => ({ Id }));
    answer = () => Response.json({ Successful, Failed: [{ Id: "2" }] });
    await run();
    expect(logged).toEqual([{ event, messageId: "c", code: "Failed" }]);
  });

  test("counts all messages as failed for an empty response", async () => {
    answer = () => Response.json({});
    await run();
    expect(logged).toHaveLength(3);
  });

  test("logs nothing when all messages are listed as successful", async () => {
    answer = ({ Entries }) => Response.json({ Successful: Entries!.map(({ Id }) => ({ Id })), Failed: [] });
    await run();
    expect(logged).toEqual([]);
  });
});

describe("bury()", () => {
  test("accepts a response with message id and matching MD5", async () => {
    answer = () => Response.json({ MessageId: "m", MD5OfMessageBody: md5("text") });
    await queue.bury(letter);
  });

  test.each([
    ["nothing", {}],
    ["no MessageId", { MD5OfMessageBody: md5("text") }],
    ["no MD5", { MessageId: "m" }],
    ["the MD5 of another text", { MessageId: "m", MD5OfMessageBody: md5("other") }],
  ])("rejects when the response names %s, so that the heartbeat is not lost", async (_what, value) => {
    answer = () => Response.json(value);
    await expect(queue.bury(letter)).rejects.toThrow("without the message id and MD5");
  });
});

test("receive() skips a message without id or receipt handle, and logs it", async () => {
  answer = () =>
    Response.json({
      Messages: [
        { MessageId: "a", Body: "x" },
        { ReceiptHandle: "r", Body: "x" },
        { MessageId: "c", ReceiptHandle: "r", Body: "x" },
      ],
    });
  expect(await receive()).toEqual([{ id: "c", receipt: "r", body: "x", receives: 1, sentAtMs: 0 }]);
  expect(logged).toMatchObject([
    { event: "message.incomplete", messageId: "a" },
    { event: "message.incomplete" },
  ]);
});
