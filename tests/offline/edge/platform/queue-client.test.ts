import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import { createQueueBatcher } from "../../../../edge/heartbeat/queue-batcher.ts";
import { createAwsCall, UpstreamFault } from "../../../../edge/platform/aws-client.ts";
import { createQueueClient } from "../../../../edge/platform/queue-client.ts";
import { bunHashing } from "../../../../edge/runtime/bun-hashing.ts";
import { makeHeartbeat, signedRequest } from "../../../../lz/platform/simulated-agents.ts";
import { utf8 } from "../../../../shared/encoding/bytes.ts";
import { encodeEntry } from "../../../../shared/queue/message.ts";
import { importHmacKey } from "../../../../shared/wire/signature.ts";
import { portalPage } from "../../../support/dynamo/dynamo-responses.ts";
import { ASSET_ID, EDGE_URL, makeEdgeApp } from "../../../support/edge/edge-app.ts";
import { localAccess } from "../../../support/nodes/aws-access.ts";

type Sent = { MessageBody: string; MessageGroupId?: string };
type AnswerTo = (sent: Sent) => Response | Promise<Response>;

const sent: Sent[] = [];
let answerTo: AnswerTo;
const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  async fetch(request) {
    // Agents in other tests on this machine send probes to every listening port.
    if (!request.headers.has("x-amz-target")) return new Response(null, { status: 404 });
    const message = (await request.json()) as Sent;
    sent.push(message);
    return answerTo(message);
  },
});
afterAll(() => server.stop(true));

const md5 = (text: string): string => new Bun.CryptoHasher("md5").update(text).digest("hex");
const accept: AnswerTo = ({ MessageBody }) =>
  Response.json({ MessageId: "m-1", MD5OfMessageBody: md5(MessageBody) });

/** A recorded response of ElasticMQ 1.6.12 to SendMessage with MessageGroupId on a standard queue. */
const ELASTICMQ_1_6 = {
  Message: "The request includes parameter MessageGroupId that is not valid for this queue type",
  __type: "com.amazonaws.sqs#InvalidParameterValue",
};
/**
 * The error with which LocalStack rejects MessageGroupId, as SQS did before fair queues (July 2025). Source:
 * getmoto/moto#4594.
 */
const SQS_BEFORE_FAIR_QUEUES = {
  __type: "com.amazon.coral.service#InvalidParameterValueException",
  message:
    "Value org_a for parameter MessageGroupId is invalid. Reason: The request include parameter that is not valid for this queue type.",
};
const refusingGroups =
  (refusal: object): AnswerTo =>
  (message) =>
    message.MessageGroupId === undefined ? accept(message) : Response.json(refusal, { status: 400 });

const QUEUE_URL = `http://127.0.0.1:${server.port}/000000000000/heartbeats`;

async function makeClient() {
  const outcomes: boolean[] = [];
  const logged: string[] = [];
  const client = createQueueClient({
    call: createAwsCall(
      localAccess(async () => {}),
      "sqs",
      QUEUE_URL,
    ),
    queueUrl: QUEUE_URL,
    instruments: { sent: (_heartbeats, ok) => void outcomes.push(ok) },
    hashing: bunHashing,
    signing: { kid: "q1", key: await importHmacKey(new Uint8Array(32), ["sign"]) },
    log: (_level, event) => void logged.push(event),
  });
  return { ...client, outcomes, logged };
}

const LINES = [encodeEntry({ assetId: ASSET_ID, receivedAt: "2026-11-21T00:00:00.000Z", body: utf8("1") })];
const faultOf = (work: Promise<unknown>) => work.then(() => undefined).catch((error: unknown) => error);

/** Responses with status 200 that do not prove that the message is in the queue. */
const NOT_ACCEPTED: { is: string; answer: AnswerTo }[] = [
  { is: "the page of a captive portal", answer: () => portalPage() },
  { is: "an empty answer", answer: () => new Response("") },
  { is: "an empty object", answer: () => Response.json({}) },
  { is: "a list", answer: () => Response.json([]) },
  { is: "no MessageId", answer: ({ MessageBody }) => Response.json({ MD5OfMessageBody: md5(MessageBody) }) },
  {
    is: "an empty MessageId",
    answer: ({ MessageBody }) => Response.json({ MessageId: "", MD5OfMessageBody: md5(MessageBody) }),
  },
  { is: "no MD5", answer: () => Response.json({ MessageId: "m-1" }) },
  {
    is: "the MD5 of another body",
    answer: ({ MessageBody }) =>
      Response.json({ MessageId: "m-1", MD5OfMessageBody: md5(`${MessageBody}x`) }),
  },
];

beforeEach(() => {
  sent.length = 0;
  answerTo = accept;
});

describe("send()", () => {
  test("a message counts as sent if the response contains it and the MD5 of its body", async () => {
    const { send, outcomes, logged, areMessageGroupsRefused } = await makeClient();
    await send("org_a", LINES);
    expect(sent).toMatchObject([{ QueueUrl: QUEUE_URL, MessageGroupId: "org_a" }]);
    expect([outcomes, logged, areMessageGroupsRefused()]).toEqual([[true], [], false]);
  });

  test.each(NOT_ACCEPTED)("$is with status 200 does not count as sent", async ({ answer }) => {
    const { send, outcomes } = await makeClient();
    answerTo = answer;
    expect(await faultOf(send("org_a", LINES))).toBeInstanceOf(UpstreamFault);
    expect(outcomes).toEqual([false]);
  });

  test("a rejection is an error that contains the exception and nothing of the message", async () => {
    const { send, outcomes } = await makeClient();
    answerTo = () =>
      Response.json({ __type: "com.amazonaws.sqs#QueueDoesNotExist", message: "secret" }, { status: 400 });
    const fault = await faultOf(send("org_a", LINES));
    expect(String(fault)).toBe("UpstreamFault: SQS refused the request with 400 QueueDoesNotExist");
    expect([sent.length, outcomes]).toEqual([1, [false]]);
  });
});

test("a heartbeat gets 202 only if SQS proves that it has the message, and 503 otherwise", async () => {
  const { send } = await makeClient();
  const enqueue = createQueueBatcher(send, (ms, then) => void (ms === 0 && queueMicrotask(then)), 0);
  const { app, openSession, state } = await makeEdgeApp({ enqueue });
  const signer = await openSession();
  let sequence = 0;
  const beat = async () => {
    const body = JSON.stringify(makeHeartbeat(++sequence, state.nowMs, "desk-1"));
    const request = await signedRequest(EDGE_URL, "/v1/heartbeats", body, signer, state.nowMs / 1000);
    return (await app.request(request)).status;
  };
  for (const { is, answer } of NOT_ACCEPTED) {
    answerTo = answer;
    expect([is, await beat()]).toEqual([is, 503]);
  }
  answerTo = accept;
  expect(await beat()).toBe(202);
});

describe("message groups", () => {
  test.each([
    ["ElasticMQ 1.6", ELASTICMQ_1_6],
    ["SQS before fair queues", SQS_BEFORE_FAIR_QUEUES],
  ])("%s rejects them: this message and all later ones are sent without a group", async (_name, refusal) => {
    const { send, outcomes, logged, areMessageGroupsRefused } = await makeClient();
    answerTo = refusingGroups(refusal);
    await send("org_a", LINES);
    await send("org_b", LINES);
    expect(sent.map(({ MessageGroupId }) => MessageGroupId)).toEqual(["org_a", undefined, undefined]);
    expect<unknown>(sent[1]).toEqual({ ...sent[0]!, MessageGroupId: undefined });
    expect([outcomes, areMessageGroupsRefused()]).toEqual([[true, true], true]);
    expect(logged).toEqual(["queue.message-groups-refused"]);
  });

  test("messages that were rejected at the same time are all sent, and the log mentions it once", async () => {
    const { send, outcomes, logged } = await makeClient();
    const gate = Promise.withResolvers<void>();
    answerTo = async (message) => {
      if (message.MessageGroupId !== undefined && sent.length >= 8) gate.resolve();
      await gate.promise;
      return refusingGroups(ELASTICMQ_1_6)(message);
    };
    await Promise.all(Array.from({ length: 8 }, (_, at) => send(`org_${at}`, LINES)));
    expect(outcomes).toEqual(Array(8).fill(true));
    expect(sent.filter(({ MessageGroupId }) => MessageGroupId === undefined)).toHaveLength(8);
    expect(logged).toHaveLength(1);
  });

  test("a message that is rejected after another one was accepted without a group is not lost", async () => {
    const { send } = await makeClient();
    const slow = Promise.withResolvers<void>();
    answerTo = async (message) => {
      if (message.MessageGroupId === "org_slow") await slow.promise;
      return refusingGroups(ELASTICMQ_1_6)(message);
    };
    const late = send("org_slow", LINES);
    await send("org_fast", LINES);
    slow.resolve();
    await late;
    expect(sent.filter(({ MessageGroupId }) => MessageGroupId === undefined)).toHaveLength(2);
  });

  test("a rejection for another reason has no effect on groups, and causes no second request", async () => {
    const { send, areMessageGroupsRefused } = await makeClient();
    answerTo = () =>
      Response.json(
        { __type: "com.amazonaws.sqs#InvalidParameterValue", Message: "DelaySeconds must be <= 900" },
        { status: 400 },
      );
    expect(await faultOf(send("org_a", LINES))).toBeInstanceOf(UpstreamFault);
    expect([sent.length, areMessageGroupsRefused()]).toEqual([1, false]);
  });

  test.each([
    ["is refused too, as a FIFO queue does", () => Response.json(ELASTICMQ_1_6, { status: 400 })],
    ["is not proven to be accepted", () => Response.json({})],
  ])("nothing is concluded if the message without a group %s", async (_what, answer) => {
    const { send, logged, outcomes, areMessageGroupsRefused } = await makeClient();
    answerTo = (message) =>
      message.MessageGroupId === undefined ? answer() : refusingGroups(ELASTICMQ_1_6)(message);
    expect(await faultOf(send("org_a", LINES))).toBeInstanceOf(UpstreamFault);
    expect([outcomes, logged, areMessageGroupsRefused()]).toEqual([[false], [], false]);
    await faultOf(send("org_a", LINES));
    expect(sent.map(({ MessageGroupId }) => MessageGroupId)).toEqual([
      "org_a",
      undefined,
      "org_a",
      undefined,
    ]);
  });

  test("/readyz reports their rejection for lz doctor, and nothing otherwise", async () => {
    for (const refused of [true, false]) {
      const { app } = await makeEdgeApp({ areMessageGroupsRefused: () => refused });
      for (const path of ["/readyz", "/readyz/admin"]) {
        const answer = (await (await app.request(path)).json()) as object;
        const keys = path === "/readyz/admin" ? { signInKeys: "fresh" } : {};
        const found = { status: "ready", queue: "here", table: "here", ...keys };
        expect(answer).toEqual(refused ? { ...found, fairQueues: "refused" } : found);
      }
    }
  });
});

describe("reach()", () => {
  const arn = (value: unknown) => () => Response.json({ Attributes: { QueueArn: value } });

  test("requests the ARN of the configured queue and accepts it", async () => {
    const { reach } = await makeClient();
    answerTo = arn("arn:aws:sqs:us-east-1:000000000000:heartbeats");
    await reach();
    expect<unknown>(sent).toEqual([{ QueueUrl: QUEUE_URL, AttributeNames: ["QueueArn"] }]);
  });

  test.each([
    ["the page of a captive portal", () => portalPage()],
    ["no attributes", () => Response.json({})],
    ["an empty ARN", arn("")],
    ["an ARN that is no text", arn(7)],
    ["the ARN of another queue", arn("arn:aws:sqs:us-east-1:000000000000:other")],
    ["a queue that does not exist", () => Response.json({ __type: "QueueDoesNotExist" }, { status: 400 })],
  ])("%s is not the queue", async (_what, answer) => {
    const { reach } = await makeClient();
    answerTo = answer;
    expect(await faultOf(reach())).toBeInstanceOf(UpstreamFault);
  });
});

test("MD5 equals that of RFC 1321 on Bun, on Deno and for the empty text", async () => {
  const { denoHashing } = await import("../../../../edge/runtime/deno-hashing.ts");
  for (const { md5 } of [bunHashing, denoHashing]) {
    expect(await md5(utf8(""))).toBe("d41d8cd98f00b204e9800998ecf8427e");
    expect(await md5(utf8("message digest"))).toBe("f96b697d7cb7938d525a2f31aaf161d0");
  }
});
