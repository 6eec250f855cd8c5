import { describe, expect, test } from "bun:test";
import { createHmac } from "node:crypto";
import { makeHeartbeat } from "../../../../lz/platform/simulated-agents.ts";
import { fromUtf8 } from "../../../../shared/encoding/bytes.ts";
import { encodeEntry, encodePack, REASONS, REPLAYABLE_REASONS } from "../../../../shared/queue/message.ts";
import type { Heartbeat } from "../../../../shared/wire/heartbeat.ts";
import type { DeadLetter, Message } from "../../../../worker/heartbeat/queue-message.ts";
import type { Deps } from "../../../../worker/receive/deps.ts";
import { pollOnce } from "../../../../worker/receive/process-batch.ts";
import { createQueue } from "../../../../worker/receive/sqs-queue.ts";
import { createMemoryDynamo } from "../../../support/dynamo/memory-dynamo.ts";
import {
  ASSET,
  contents,
  createWorkerDeps,
  makeTenant,
  TENANT,
} from "../../../support/dynamo/worker-table.ts";
import { sqsClient } from "../../../support/nodes/sqs-client.ts";

const AT = Date.parse("2026-11-20T12:00:00.000Z");
const KEY = Buffer.alloc(32, 1);
const NEXT_KEY = Buffer.alloc(32, 2);
const OLD = new Map([["k1", KEY]]);
const BOTH = new Map([...OLD, ["k2", NEXT_KEY]]);

const packOf = (beats: readonly object[]) =>
  fromUtf8(
    encodePack(
      TENANT,
      beats.map((beat) =>
        encodeEntry({ assetId: ASSET, receivedAt: "2026-11-20T12:00:00.100Z", body: JSON.stringify(beat) }),
      ),
    ),
  );
function signed(body: string, kid: string, key: Buffer): Message {
  const signature = createHmac("sha256", key).update(body).digest("base64url");
  return { id: "m1", receipt: "r", body, kid, signature, receives: 1, sentAtMs: 0 };
}

/** Test setup: one table, workers that use it one after another, and their dead letters. */
function createWorld() {
  const table = createMemoryDynamo();
  const letters: DeadLetter[] = [];
  const removed: string[] = [];
  const away = { table: false, deadLetters: false };
  const dynamo = (async (...call: Parameters<Deps["dynamo"]>) => {
    if (away.table) throw new Error("away");
    return table.dynamo(...call);
  }) as Deps["dynamo"];
  const poll = (message: Message, keys: ReadonlyMap<string, Uint8Array>) =>
    pollOnce(
      createWorkerDeps({ ...table, dynamo }, makeTenant(), {
        queueKeys: keys,
        queue: {
          receive: async () => [message],
          remove: async (messages) => void removed.push(...messages.map(({ id }) => id)),
          extend: async () => {},
          bury: async (letter) => {
            if (away.deadLetters) throw new Error("away");
            letters.push(letter);
          },
        },
      }),
      new AbortController().signal,
    );
  const sequences = () =>
    Object.values(contents(table)).flatMap((item) => {
      const { type, sequence } = item as { type: string; sequence: number };
      return type === "Telemetry" ? [sequence] : [];
    });
  /** Makes a message from a dead letter, as `lz dlq replay` does. */
  const replayed = ({ body, kid, signature, reason }: DeadLetter): Message => {
    expect(REPLAYABLE_REASONS.has(reason)).toBe(true);
    return { id: "m2", receipt: "r", body, kid: kid!, signature: signature!, receives: 1, sentAtMs: 0 };
  };
  return { poll, letters, removed, sequences, replayed, away };
}

describe("a message signed with an unknown key", () => {
  const message = signed(packOf([makeHeartbeat(7, AT, "h")]), "k2", NEXT_KEY);

  test("is left to other workers at first, then becomes a dead letter with its signature", async () => {
    const world = createWorld();
    for (const receives of [1, 2]) await world.poll({ ...message, receives }, OLD);
    expect([world.letters, world.removed]).toEqual([[], []]);
    await world.poll({ ...message, receives: 3 }, OLD);
    const { body, kid, signature } = message;
    expect(world.letters as object[]).toEqual([
      { body, kid, signature, reason: REASONS.unknownKey, origin: "m1" },
    ]);
    expect(world.removed).toEqual(["m1"]);
  });

  test("is recorded by a replay after the key was added", async () => {
    const world = createWorld();
    await world.poll({ ...message, receives: 3 }, OLD);
    expect(world.sequences()).toEqual([]);
    expect(await world.poll(world.replayed(world.letters[0]!), BOTH)).toBe(1);
    expect(world.sequences()).toEqual([7]);
    expect(world.letters).toHaveLength(1);
  });

  test("that is forged is detected then, and cannot be replayed again", async () => {
    const world = createWorld();
    await world.poll({ ...message, signature: signed("x", "k2", KEY).signature!, receives: 3 }, OLD);
    await world.poll(world.replayed(world.letters[0]!), BOTH);
    expect(world.sequences()).toEqual([]);
    expect(world.letters[1]).toEqual({ body: message.body, reason: REASONS.forged, origin: "m2" });
    expect(REPLAYABLE_REASONS.has(REASONS.forged)).toBe(false);
    expect(REPLAYABLE_REASONS.has(REASONS.unsigned)).toBe(false);
  });
});

test("a heartbeat of a newer schema becomes a dead letter: a signed pack of its own", async () => {
  const world = createWorld();
  const newer = { ...makeHeartbeat(2, AT + 1, "h"), v: 2 } as unknown as Heartbeat;
  await world.poll(signed(packOf([makeHeartbeat(1, AT, "h"), newer]), "k1", KEY), OLD);
  expect(world.sequences()).toEqual([1]);
  const [letter] = world.letters;
  // The same worker produces the same dead letter again, because it still does not know the schema.
  await world.poll(world.replayed(letter!), OLD);
  expect(world.letters[1]).toEqual({ ...letter!, origin: "m2" });
  expect(letter).toMatchObject({ body: packOf([newer]), kid: "k1", reason: REASONS.noHeartbeat });
});

describe("an invalid heartbeat in a pack with valid ones", () => {
  const message = signed(
    packOf([makeHeartbeat(1, AT, "h"), { v: 2 }, makeHeartbeat(2, AT + 1, "h")]),
    "k1",
    KEY,
  );

  test("delays none of them while the dead-letter queue is unavailable, and becomes a dead letter later", async () => {
    const world = createWorld();
    world.away.deadLetters = true;
    await world.poll(message, OLD);
    expect(world.sequences()).toEqual([1, 2]);
    expect(world.removed).toEqual([]);
    world.away.deadLetters = false;
    await world.poll(message, OLD);
    expect(world.letters.map(({ body }) => body)).toEqual([packOf([{ v: 2 }])]);
    expect(world.removed).toEqual(["m1"]);
  });

  test("becomes one dead letter, even if its message is delivered again because of another heartbeat", async () => {
    const world = createWorld();
    world.away.table = true;
    for (let receive = 0; receive < 3; receive++) await world.poll(message, OLD);
    expect(world.removed).toEqual([]);
    world.away.table = false;
    await world.poll(message, OLD);
    expect(world.letters).toHaveLength(1);
    expect(world.removed).toEqual(["m1"]);
  });
});

test("bury() sends key id and signature if a dead letter has them", async () => {
  const sent: Record<string, unknown>[] = [];
  const client = sqsClient(async (input) => {
    sent.push(input);
    return { MessageId: "1", MD5OfMessageBody: Bun.MD5.hash("b", "hex") };
  });
  const queue = createQueue(client, "q", "d", () => {});
  const letter = { body: "b", reason: REASONS.unknownKey, origin: "m1" };
  await queue.bury({ ...letter, kid: "k1", signature: "s" });
  await queue.bury({ ...letter, reason: REASONS.forged });
  expect(sent.map(({ MessageAttributes }) => Object.keys(MessageAttributes as object).sort())).toEqual([
    ["lz-kid", "lz-origin", "lz-reason", "lz-signature"],
    ["lz-origin", "lz-reason"],
  ]);
});
