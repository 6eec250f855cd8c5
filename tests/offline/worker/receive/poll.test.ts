import { describe, expect, test } from "bun:test";
import { createHmac } from "node:crypto";
import { makeHeartbeat } from "../../../../lz/platform/simulated-agents.ts";
import { fromUtf8 } from "../../../../shared/encoding/bytes.ts";
import { createKeyedMutex } from "../../../../shared/keyed-mutex.ts";
import { encodeEntry, encodePack } from "../../../../shared/queue/message.ts";
import { type AttributeMap, DynamoFault } from "../../../../shared/table/dynamo.ts";
import { timestamp } from "../../../../shared/time/clock.ts";
import { createPresenceCache } from "../../../../worker/assess/presence-cache.ts";
import { previewHeartbeat } from "../../../../worker/heartbeat/preview-heartbeat.ts";
import { createMetrics, exposition } from "../../../../worker/platform/metrics.ts";
import type { Deps } from "../../../../worker/receive/deps.ts";
import { createInFlightLimit } from "../../../../worker/receive/in-flight-limit.ts";
import { pollOnce } from "../../../../worker/receive/process-batch.ts";
import { receiveUntilStopped } from "../../../../worker/receive/receive-loop.ts";
import { recordHeartbeat } from "../../../../worker/record/record-heartbeat.ts";
import { createMemoryDynamo } from "../../../support/dynamo/memory-dynamo.ts";
import {
  ASSET,
  createWorkerDeps,
  deliver,
  makeTenant,
  TENANT,
} from "../../../support/dynamo/worker-table.ts";
import { eventually } from "../../../support/stack.ts";

const AT = Date.parse("2026-11-20T12:00:00.000Z");
const KEY = Buffer.alloc(32, 1);
const tenant = makeTenant();

/** A signed message with one heartbeat per asset. */
function messageOf(assets: readonly string[], tenantId = TENANT) {
  const lines = assets.map((last) => {
    const body = JSON.stringify(makeHeartbeat(1, AT, "h"));
    return encodeEntry({ assetId: `01K${"0".repeat(22)}${last}`, receivedAt: timestamp(AT), body });
  });
  const body = fromUtf8(encodePack(tenantId, lines));
  const signature = createHmac("sha256", KEY).update(body).digest("base64url");
  return { id: "m", receipt: "r", body, kid: "k", signature, receives: 1, sentAtMs: 0 };
}

describe("receiveUntilStopped()", () => {
  test("a failed receive is retried with exponential backoff and jitter, and never ends the receiver", async () => {
    const stop = new AbortController();
    const pauses: number[] = [];
    const receive = async () => {
      throw new Error("away");
    };
    const worker = createWorkerDeps(createMemoryDynamo(), tenant);
    await receiveUntilStopped(
      { ...worker, queue: { ...worker.queue, receive } },
      stop.signal,
      createInFlightLimit({ messages: 1, bytes: 1 }),
      {
        random: () => 0.5,
        sleep: async (ms) => void (pauses.push(ms) === 10 && stop.abort()),
        onProgress: () => {
          throw new Error("nothing went on");
        },
      },
    );
    expect(pauses).toEqual([200, 400, 800, 1600, 3200, 6400, 12_800, 20_000, 20_000, 20_000]);
    expect(worker.metrics.read().receives_failed_total).toBe(10);
  });

  for (const part of ["the table", "the settings of the tenant", "the removal of a message"] as const)
    test(`a message is received once and retried in place while ${part} fails, with growing pauses`, async () => {
      const stop = new AbortController();
      const table = createMemoryDynamo();
      const pauses: number[] = [];
      const isAway = (what: typeof part) => what === part && pauses.length < 5;
      const dynamo = (async (...call: Parameters<Deps["dynamo"]>) => {
        if (isAway("the table")) throw new DynamoFault("Unreachable");
        return table.dynamo(...call);
      }) as Deps["dynamo"];
      let receives = 0;
      const removed: string[] = [];
      const worker = createWorkerDeps({ ...table, dynamo }, tenant, {
        queueKeys: new Map([["k", KEY]]),
        tenant: async () => {
          if (isAway("the settings of the tenant")) throw new DynamoFault("ThrottlingException");
          return tenant;
        },
        random: () => 0.5,
        sleep: async (ms) => void pauses.push(ms),
      });
      const queue = {
        ...worker.queue,
        receive: async () => {
          receives++;
          return [messageOf(["1", "2"])];
        },
        remove: async (messages: readonly { id: string }[]) => {
          if (isAway("the removal of a message")) throw new Error("away");
          removed.push(...messages.map(({ id }) => id));
          stop.abort();
        },
      };
      await receiveUntilStopped(
        { ...worker, queue },
        stop.signal,
        createInFlightLimit({ messages: 1, bytes: 2 ** 20 }),
        { random: () => 0.5, sleep: async () => {}, onProgress: () => {} },
      );
      expect(receives).toBe(1);
      expect(pauses).toEqual([500, 1000, 2000, 4000, 8000]);
      expect(removed).toEqual(["m"]);
      expect([...table.items.values()].filter(({ type }) => type?.S === "Presence")).toHaveLength(2);
    });

  test("a slow asset delays neither the deletion of other messages of its batch nor the next receives", async () => {
    const stop = new AbortController();
    const table = createMemoryDynamo();
    let release = () => {};
    const slow = new Promise<void>((done) => (release = done));
    const dynamo = (async (operation: "BatchGetItem", input: never) => {
      if (JSON.stringify(input).includes(`01K${"0".repeat(22)}1`)) await slow;
      return table.dynamo(operation, input);
    }) as unknown as Deps["dynamo"];
    const worker = createWorkerDeps({ ...table, dynamo }, tenant, {
      queueKeys: new Map([["k", KEY]]),
      // This cache sends one read per asset, because a batch of reads would wait for its slowest read.
      presences: createPresenceCache(dynamo, "memory", async () => {}),
    });
    const receives = [[{ ...messageOf(["1"]), id: "slow" }], [{ ...messageOf(["2"]), id: "other" }]];
    const removed: string[] = [];
    const queue = {
      ...worker.queue,
      receive: async () => {
        const given = receives.shift();
        if (!given) await Bun.sleep(20); // a long poll that receives no messages
        return given ?? [];
      },
      remove: async (messages: readonly { id: string }[]) =>
        void removed.push(...messages.map(({ id }) => id)),
    };
    const running = receiveUntilStopped(
      { ...worker, queue },
      stop.signal,
      createInFlightLimit({ messages: 10, bytes: 2 ** 20 }),
      { random: () => 0.5, sleep: () => Bun.sleep(5), onProgress: () => {} },
    );
    await eventually(async () => removed.length > 0);
    expect(removed).toEqual(["other"]);
    stop.abort();
    release();
    await running; // messages that were received are finished
    expect(removed).toEqual(["other", "slow"]);
  });

  test("within a batch, slow settings of a tenant delay no message of another tenant", async () => {
    const table = createMemoryDynamo();
    let release = () => {};
    const slow = new Promise<void>((done) => (release = done));
    const removed: string[] = [];
    const worker = createWorkerDeps(table, tenant, {
      queueKeys: new Map([["k", KEY]]),
      tenant: async (tenantId) => {
        if (tenantId === "org_slow") await slow;
        return { ...tenant, tenantId };
      },
    });
    const queue = {
      ...worker.queue,
      receive: async () => [
        { ...messageOf(["1"], "org_slow"), id: "slow" },
        { ...messageOf(["2"]), id: "other" },
      ],
      remove: async (messages: readonly { id: string }[]) =>
        void removed.push(...messages.map(({ id }) => id)),
    };
    const polling = pollOnce({ ...worker, queue }, new AbortController().signal);
    await eventually(async () => removed.length > 0);
    expect(removed).toEqual(["other"]);
    release();
    expect(await polling).toBe(2);
    expect(removed).toEqual(["other", "slow"]);
  });

  test("within a batch, only the message of a slow asset is not deleted yet", async () => {
    const table = createMemoryDynamo();
    let release = () => {};
    const slow = new Promise<void>((done) => (release = done));
    const removed: string[] = [];
    const worker = createWorkerDeps(table, tenant, {
      queueKeys: new Map([["k", KEY]]),
      withLock: async (name, work) => {
        if (name.endsWith("1")) await slow;
        await work();
      },
    });
    const queue = {
      ...worker.queue,
      receive: async () => [
        { ...messageOf(["1"]), id: "slow" },
        { ...messageOf(["2"]), id: "other" },
      ],
      remove: async (messages: readonly { id: string }[]) =>
        void removed.push(...messages.map(({ id }) => id)),
    };
    const polling = pollOnce({ ...worker, queue }, new AbortController().signal);
    await eventually(async () => removed.length > 0);
    expect(removed).toEqual(["other"]);
    release();
    await polling;
    expect(removed).toEqual(["other", "slow"]);
  });

  test("does not pause when half of the messages failed", async () => {
    const stop = new AbortController();
    const unknown = { ...messageOf(["1"]), kid: "k2" };
    const receives = [[messageOf(["1"]), unknown], [unknown], [messageOf(["2"])]];
    const worker = createWorkerDeps(createMemoryDynamo(), tenant, { queueKeys: new Map([["k", KEY]]) });
    const receive = async () => {
      const given = receives.shift();
      if (!given) stop.abort();
      return given ?? [];
    };
    const queue = { ...worker.queue, receive };
    const pauses: number[] = [];
    await receiveUntilStopped(
      { ...worker, queue },
      stop.signal,
      createInFlightLimit({ messages: 10, bytes: 2 ** 20 }),
      { random: () => 0.5, sleep: async (ms) => void pauses.push(ms), onProgress: () => {} },
    );
    expect(pauses).toEqual([250, 200, 250]);
  });

  test("reports progress after each asset, not only after the whole batch", async () => {
    const stop = new AbortController();
    const table = createMemoryDynamo();
    const message = messageOf(["1", "2", "3"]);
    const worker = createWorkerDeps(table, tenant, { queueKeys: new Map([["k", KEY]]) });
    const presences = () => [...table.items.values()].filter(({ type }) => type?.S === "Presence").length;
    const told: number[] = [];
    const queue = {
      ...worker.queue,
      receive: async () => [message],
      remove: async () => {
        told.push(-1);
        stop.abort();
      },
    };
    // The mutex has one name for all assets. They are recorded one after another, so progress is reported for
    // each.
    const locked = createKeyedMutex();
    await receiveUntilStopped(
      { ...worker, queue, withLock: (_, work) => locked("one", work) },
      stop.signal,
      createInFlightLimit({ messages: 10, bytes: 2 ** 20 }),
      { random: () => 0.5, sleep: async () => {}, onProgress: () => void told.push(presences()) },
    );
    expect(told).toEqual([0, 1, 2, 3, -1, 3]);
  });
});

describe("createInFlightLimit()", () => {
  test("blocks receives while messages or bytes in flight are at the limit", async () => {
    for (const [messages, bytes] of [
      [10, 1],
      [1, 100],
    ] as const) {
      const load = createInFlightLimit({ messages: 10, bytes: 100 });
      load.take(messages, bytes);
      let hasRoom = false;
      const waiting = load.waitForCapacity(new AbortController().signal).then(() => {
        hasRoom = true;
      });
      await Bun.sleep(5);
      expect(hasRoom).toBe(false);
      load.release(messages, bytes);
      await waiting;
      expect(hasRoom).toBe(true);
    }
  });
  test("stops waiting when the signal aborts", async () => {
    const load = createInFlightLimit({ messages: 1, bytes: 1 });
    load.take(1, 1);
    const stop = new AbortController();
    const waiting = load.waitForCapacity(stop.signal);
    stop.abort();
    await waiting;
  });
});

describe("a busy DynamoDB", () => {
  test("unprocessed keys are retried a limited number of times", async () => {
    const table = createMemoryDynamo();
    await recordHeartbeat(deliver(makeHeartbeat(1, AT, "h")), tenant, createWorkerDeps(table, tenant));
    let refusals = 3;
    const dynamo = (async (operation: string, input: never) => {
      if (refusals-- > 0)
        return { Responses: {}, UnprocessedKeys: (input as { RequestItems: object }).RequestItems };
      return table.dynamo(operation as "GetItem", input);
    }) as unknown as Deps["dynamo"];
    const presences = createPresenceCache(dynamo, "memory", async () => {});
    expect((await presences.load(TENANT, ASSET))?.presence.sequence).toBe(1);
    refusals = 1000;
    expect(presences.load(TENANT, ASSET)).rejects.toThrow("as unprocessed");
  });

  test("an unprocessed key delays no other key of its request", async () => {
    const table = createMemoryDynamo();
    const busy = `01K${"0".repeat(22)}1`;
    for (const assetId of [ASSET, busy])
      await recordHeartbeat(
        deliver(makeHeartbeat(1, AT, "h"), assetId),
        tenant,
        createWorkerDeps(table, tenant),
      );
    const dynamo = (async (
      operation: "BatchGetItem",
      input: { RequestItems: { memory: { Keys: AttributeMap[] } } },
    ) => {
      const isBusy = ({ SK }: AttributeMap) => SK?.S?.includes(busy) ?? false;
      const { Keys } = input.RequestItems.memory;
      const rest = Keys.filter((key) => !isBusy(key));
      const RequestItems = { memory: { Keys: rest } };
      const answer = rest.length > 0 ? await table.dynamo(operation, { RequestItems }) : { Responses: {} };
      return { ...answer, UnprocessedKeys: { memory: { Keys: Keys.filter(isBusy) } } };
    }) as unknown as Deps["dynamo"];
    const pausing = Promise.withResolvers<void>();
    const presences = createPresenceCache(dynamo, "memory", () => pausing.promise);
    const waiting = presences.load(TENANT, busy);
    expect((await presences.load(TENANT, ASSET))?.presence.sequence).toBe(1);
    pausing.resolve();
    expect(waiting).rejects.toThrow("as unprocessed");
  });

  test("a presence that does not parse is an error of its own asset only", async () => {
    const table = createMemoryDynamo();
    const broken = `01K${"0".repeat(22)}1`;
    for (const assetId of [ASSET, broken])
      await recordHeartbeat(
        deliver(makeHeartbeat(1, AT, "h"), assetId),
        tenant,
        createWorkerDeps(table, tenant),
      );
    table.items.get(`TENANT#${TENANT} | PRESENCE#${broken}`)!.risk = { S: "PURPLE" };
    const presences = createPresenceCache(table.dynamo, "memory", async () => {});
    const read = [presences.load(TENANT, broken), presences.load(TENANT, ASSET)];
    expect((await Promise.allSettled(read)).map(({ status }) => status)).toEqual(["rejected", "fulfilled"]);
    expect(read[0]).rejects.toThrow(`PRESENCE#${broken}`);
    expect(table.calls.get("BatchGetItem")).toBe(3);
  });

  test("retries after an optimistic-lock conflict; after other errors the heartbeat stays in the queue", async () => {
    for (const [code, reasons, isRetried] of [
      ["TransactionCanceledException", ["TransactionConflict", "None"], true],
      ["TransactionCanceledException", ["None", "ThrottlingError"], true],
      ["TransactionCanceledException", ["ValidationError"], false],
      ["InternalServerError", [], false],
    ] as const) {
      const table = createMemoryDynamo();
      let failures = 2;
      const dynamo = (async (operation: string, input: never) => {
        if (operation === "TransactWriteItems" && failures-- > 0) throw new DynamoFault(code, reasons);
        return table.dynamo(operation as "GetItem", input);
      }) as unknown as Deps["dynamo"];
      const done = recordHeartbeat(
        deliver(makeHeartbeat(1, AT, "h")),
        tenant,
        createWorkerDeps({ ...table, dynamo }, tenant),
      );
      if (isRetried) await done;
      else expect(done).rejects.toThrow(code);
    }
  });
});

describe("previewHeartbeat()", () => {
  const entry = (body: string) => ({ assetId: ASSET, receivedAt: "2026-11-20T12:00:00.100Z", body });
  const beat = makeHeartbeat(5, AT, "h");
  const text = (more: object) => JSON.stringify({ ...beat, ...more });
  const raw = (body: string) => previewHeartbeat(entry(body))?.raw;
  test("has the same hash for details that are not part of the state", () => {
    const same = text({ sequence: 6, sentAt: "2026-11-20T12:00:05.000Z", spool: { waiting: 9, dropped: 2 } });
    expect(raw(same)).toBe(raw(text({}))!);
    const worded = (detail: string) => text({ collectors: [{ name: "processes", status: "ok", detail }] });
    expect(raw(worded("412 processes"))).toBe(raw(worded("413 processes"))!);
  });
  test("has another hash for every other difference", () => {
    for (const more of [
      { collectors: [] },
      { collectors: [{ name: "processes", status: "failed" }] },
      { host: { ...beat.host, hostname: "g" } },
      { containment: { ...beat.containment, generation: 1 } },
    ])
      expect(raw(text(more))).not.toBe(raw(text({})));
  });
  test("returns undefined for every other form of JSON", () => {
    expect(previewHeartbeat(entry(` ${text({})}`))).toBeUndefined();
    expect(previewHeartbeat(entry(text({ sequence: 1e21 })))).toBeUndefined();
    expect(previewHeartbeat(entry(text({ sentAt: "2026-13-20T12:00:05.000Z" })))).toBeUndefined();
    expect(previewHeartbeat(entry(text({ extra: 1 })))).toBeUndefined();
    expect(previewHeartbeat(entry(`${text({}).slice(0, -1)},"x":1}`))).toBeUndefined();
    expect(encodeEntry(entry("{}")).head).toContain(ASSET);
  });
  test("replaces the time of a clock beyond the allowed skew, but not at the limit", () => {
    const at = (ms: number) => previewHeartbeat(entry(text({ sentAt: new Date(AT + ms).toISOString() })))?.at;
    expect(at(300_100)).toBe("2026-11-20T12:05:00.100Z");
    expect(at(300_101)).toBe("2026-11-20T12:00:00.100Z");
  });
});

test("exposition() is Prometheus text with a help line for every metric", () => {
  const metrics = createMetrics();
  metrics.gauge("queue_age_seconds", 1.5);
  const text = exposition(metrics);
  expect(text).toContain("# TYPE lz_worker_queue_age_seconds gauge\nlz_worker_queue_age_seconds 1.5\n");
  expect(text.match(/^# HELP/gm)!.length).toBe(text.match(/^lz_worker_/gm)!.length);
});
