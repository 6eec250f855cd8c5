import { afterEach, describe, expect, jest, test } from "bun:test";
import { createHmac } from "node:crypto";
import { makeHeartbeat } from "../../../../lz/platform/simulated-agents.ts";
import { fromUtf8 } from "../../../../shared/encoding/bytes.ts";
import { COMPRESSED, encodeEntry, encodePack, OPENED_BYTES_MAX } from "../../../../shared/queue/message.ts";
import type { Message, Queue } from "../../../../worker/heartbeat/queue-message.ts";
import type { Deps } from "../../../../worker/receive/deps.ts";
import { createInFlightLimit } from "../../../../worker/receive/in-flight-limit.ts";
import { pollOnce, VISIBILITY_SECONDS } from "../../../../worker/receive/process-batch.ts";
import { createQueue } from "../../../../worker/receive/sqs-queue.ts";
import { createMemoryDynamo } from "../../../support/dynamo/memory-dynamo.ts";
import { ASSET, createWorkerDeps, makeTenant, TENANT } from "../../../support/dynamo/worker-table.ts";
import { sqsClient } from "../../../support/nodes/sqs-client.ts";

const AT = Date.parse("2026-11-20T12:00:00.000Z");
const KEY = Buffer.alloc(32, 1);

function makeMessage(): Message {
  const entry = { assetId: ASSET, receivedAt: "2026-11-20T12:00:00.100Z" };
  const line = encodeEntry({ ...entry, body: JSON.stringify(makeHeartbeat(1, AT, "h")) });
  const body = fromUtf8(encodePack(TENANT, [line]));
  const signature = createHmac("sha256", KEY).update(body).digest("base64url");
  return { id: "m", receipt: "r", body, kid: "k", signature, receives: 1, sentAtMs: 0 };
}

/** Test setup: a queue with one message whose visibility depends on a fake clock, and a worker with a slow table. */
function createSlowWorker(extend: (hide: () => void) => void, queueHidesSeconds = VISIBILITY_SECONDS) {
  const message = makeMessage();
  let hiddenUntilMs = 0;
  let isRemoved = false;
  let finish = () => {};
  const slow = new Promise<void>((resolve) => {
    finish = resolve;
  });
  const hide = (seconds: number) => {
    hiddenUntilMs = Date.now() + seconds * 1000;
  };
  const queue: Queue = {
    receive: async () => {
      if (isRemoved || Date.now() < hiddenUntilMs) return [];
      hide(queueHidesSeconds);
      return [message];
    },
    remove: async () => {
      isRemoved = true;
    },
    extend: async (_messages, seconds) => extend(() => hide(seconds)),
    bury: async () => {},
  };
  const table = createMemoryDynamo();
  const dynamo = (async (operation: "GetItem", input: never) => {
    await slow;
    return table.dynamo(operation, input);
  }) as Deps["dynamo"];
  const worker = createWorkerDeps({ ...table, dynamo }, makeTenant(), {
    queueKeys: new Map([["k", KEY]]),
    queue,
  });
  return { worker, queue, finish, isRemoved: () => isRemoved };
}

/** Number of times that another receiver gets the message while the worker is busy. */
async function receivedTwice(world: ReturnType<typeof createSlowWorker>, seconds = 240): Promise<number> {
  const stop = new AbortController().signal;
  const polling = pollOnce(world.worker, stop);
  await Promise.resolve();
  await Promise.resolve();
  let again = 0;
  for (let second = 0; second < seconds; second += 5) {
    jest.advanceTimersByTime(5000);
    again += (await world.queue.receive(stop)).length;
  }
  world.finish();
  expect(await polling).toBe(1);
  expect(world.isRemoved()).toBe(true);
  return again;
}

describe("slow work", () => {
  afterEach(() => void jest.useRealTimers());

  test("keeps its messages invisible until it is done, so no one receives them a second time", async () => {
    jest.useFakeTimers();
    const world = createSlowWorker((hide) => hide());
    expect(await receivedTwice(world)).toBe(0);
    const { messages_extended_total } = world.worker.metrics.read();
    expect(messages_extended_total).toBe(12);
    // After the end of the work, the visibility timeout is no longer extended.
    jest.advanceTimersByTime(120_000);
    expect(world.worker.metrics.read().messages_extended_total).toBe(12);
  });

  test("of hours keeps them invisible too: a slow table creates no dead letter", async () => {
    jest.useFakeTimers();
    expect(
      await receivedTwice(
        createSlowWorker((hide) => hide()),
        3 * 3600,
      ),
    ).toBe(0);
  });

  test("keeps them invisible with a queue timeout of ten seconds", async () => {
    jest.useFakeTimers();
    expect(await receivedTwice(createSlowWorker((hide) => hide(), 10))).toBe(0);
  });

  test("is delivered again if extending fails, which this test detects", async () => {
    jest.useFakeTimers();
    expect(await receivedTwice(createSlowWorker(() => {}))).toBe(4);
  });
});

test("extend() logs exactly the messages that SQS did not extend", async () => {
  const lines: unknown[][] = [];
  const client = sqsClient(async () => ({
    Successful: [{ Id: "0" }],
    Failed: [{ Id: "1", Code: "ReceiptHandleIsInvalid", SenderFault: true }],
  }));
  const queue = createQueue(client, "q", "d", (...line) => void lines.push(line));
  await queue.extend([makeMessage(), { ...makeMessage(), id: "m2" }], 60);
  expect(lines).toEqual([
    ["warn", "message.not-extended", { messageId: "m2", code: "ReceiptHandleIsInvalid" }],
  ]);
});

test("remove() rejects for an error of SQS, but not for an expired receipt handle", async () => {
  const removing = (SenderFault: boolean) => {
    const client = sqsClient(async () => ({ Failed: [{ Id: "0", Code: "InternalError", SenderFault }] }));
    return createQueue(client, "q", "d", () => {}).remove([makeMessage()]);
  };
  await expect(removing(false)).rejects.toThrow("did not delete");
  await removing(true);
});

test("deadLetters() rejects a response without a count", async () => {
  const asking = (Attributes?: object) =>
    createQueue(
      sqsClient(async () => ({ Attributes })),
      "q",
      "d",
      () => {},
    ).deadLetters();
  expect(await asking({ ApproximateNumberOfMessages: "7" })).toBe(7);
  await expect(asking()).rejects.toThrow("no ApproximateNumberOfMessages");
});

test("bytes in flight count a compressed message ten times, up to the limit of an opened pack", async () => {
  for (const [body, bytes] of [
    ["plain text", 10],
    [`${COMPRESSED}${"A".repeat(97)}`, 1000],
    [`${COMPRESSED}${"A".repeat(600_000)}`, OPENED_BYTES_MAX],
  ] as const) {
    const load = createInFlightLimit({ messages: 10, bytes: 1e9 });
    let inFlight = 0;
    const { queue, ...worker } = createWorkerDeps(createMemoryDynamo(), makeTenant());
    const message = { id: "m", receipt: "r", body, receives: 1, sentAtMs: 0 };
    const watched = {
      ...queue,
      receive: async () => [message],
      remove: async () => {
        inFlight = load.now().bytes;
      },
    };
    await pollOnce({ ...worker, queue: watched }, new AbortController().signal, load);
    expect(inFlight).toBe(bytes);
    expect(load.now()).toEqual({ messages: 0, bytes: 0 });
  }
});
