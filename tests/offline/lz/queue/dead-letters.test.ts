import { afterEach, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { openDeadLetters } from "../../../../lz/queue/dead-letters.ts";
import { KID_ATTRIBUTE, SIGNATURE_ATTRIBUTE } from "../../../../shared/queue/message.ts";

const string = (StringValue: string) => ({ DataType: "String", StringValue });
const md5 = (text: string) => createHash("md5").update(text).digest("hex");
/** Environment variables that the AWS SDK reads. */
const SDK = { AWS_REGION: "us-east-1", AWS_ACCESS_KEY_ID: "local", AWS_SECRET_ACCESS_KEY: "local" };
type Input = { MaxNumberOfMessages: number; ReceiptHandle: string; MessageBody: string };
const stops: (() => unknown)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});

/**
 * Test double of a dead-letter queue that is very slow: the first message is visible again before the last
 * one is read.
 */
function slowQueue(count: number) {
  const letters = Array.from({ length: count }, (_, i) => ({ id: `m${i}`, receives: 0 }));
  const sent: string[] = [];
  let next = 0;
  const answer: Record<string, (input: Input) => object> = {
    ReceiveMessage: ({ MaxNumberOfMessages: most }) => {
      const some = Array.from(
        { length: Math.min(most, letters.length) },
        () => letters[next++ % letters.length]!,
      );
      return {
        Messages: some.map((letter) => ({
          MessageId: letter.id,
          ReceiptHandle: `${letter.id} ${++letter.receives}`,
          Body: letter.id,
          MD5OfBody: md5(letter.id),
          Attributes: { SentTimestamp: "1790000000000" },
          MessageAttributes: { [KID_ATTRIBUTE]: string("q1"), [SIGNATURE_ATTRIBUTE]: string("s") },
        })),
      };
    },
    SendMessage: ({ MessageBody }) => {
      sent.push(MessageBody);
      return { MessageId: "new", MD5OfMessageBody: md5(MessageBody) };
    },
    // As in SQS, only the receipt handle of the newest receive is certain to delete the message.
    DeleteMessage: ({ ReceiptHandle }) => {
      const at = letters.findIndex(({ id, receives }) => ReceiptHandle === `${id} ${receives}`);
      if (at >= 0) letters.splice(at, 1);
      return {};
    },
  };
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      const action = request.headers.get("x-amz-target")?.split(".").at(-1) ?? "";
      const said = answer[action]?.(await request.json()) ?? {};
      return Response.json(said, { headers: { "content-type": "application/x-amz-json-1.0" } });
    },
  });
  stops.push(() => server.stop(true));
  const before = Object.fromEntries(Object.keys(SDK).map((name) => [name, process.env[name]]));
  Object.assign(process.env, SDK);
  stops.push(() => {
    for (const [name, value] of Object.entries(before))
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
  });
  const url = `http://127.0.0.1:${server.port}`;
  const env = {
    SQS_ENDPOINT: url,
    SQS_QUEUE_URL: `${url}/000000000000/heartbeats`,
    SQS_DLQ_URL: `${url}/000000000000/dead`,
  };
  return { env, sent, letters };
}

test("take() returns each message once, although it became visible again meanwhile, and replay() deletes it", async () => {
  const { env, sent, letters } = slowQueue(14);
  const queue = await openDeadLetters({ env, root: "." });
  const taken = await queue.take(100, 5);
  expect(taken.map(({ id }) => id).sort()).toEqual(letters.map(({ id }) => id).sort());
  for (const letter of taken) await queue.replay(letter);
  expect(sent.toSorted()).toEqual(taken.map(({ id }) => id).sort());
  expect(letters).toEqual([]);
});

test("take() returns at most `limit` messages", async () => {
  const { env } = slowQueue(14);
  const queue = await openDeadLetters({ env, root: "." });
  expect(await queue.take(12, 5)).toHaveLength(12);
});
