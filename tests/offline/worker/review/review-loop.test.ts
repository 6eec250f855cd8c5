import { describe, expect, test } from "bun:test";
import { makeEngine, makeHeartbeat } from "../../../../lz/platform/simulated-agents.ts";
import { unmarshalItem } from "../../../../shared/table/dynamo.ts";
import { type TelemetryChange, telemetryItem } from "../../../../shared/table/items/asset/telemetry.ts";
import { decodeItem } from "../../../../shared/table/items/decode.ts";
import { timestamp } from "../../../../shared/time/clock.ts";
import type { LlmVerdict } from "../../../../worker/assess/llm-prompt.ts";
import {
  createLlmReviewer,
  createVerdictLookup,
  type LlmReviewer,
} from "../../../../worker/assess/llm-review.ts";
import type { Deps } from "../../../../worker/receive/deps.ts";
import { recordHeartbeat } from "../../../../worker/record/record-heartbeat.ts";
import { createReviewLoops, reviewOne } from "../../../../worker/review/review-loop.ts";
import { createMemoryDynamo } from "../../../support/dynamo/memory-dynamo.ts";
import {
  ASSET,
  contents,
  createWorkerDeps,
  deliver,
  makeTenant,
  TENANT,
} from "../../../support/dynamo/worker-table.ts";

const AT = Date.parse("2026-11-20T12:00:00.000Z");
const tenant = makeTenant();
const MODEL = "test-model";
const LIMITS = { timeoutMs: 1000, concurrency: 4, dailyQuestions: 100 };

/** A heartbeat with an ambiguous state: one unapproved engine with 40 points. */
const doubtful = (sequence: number, seconds: number, version = "1.0") =>
  deliver(
    makeHeartbeat(sequence, AT + seconds * 1000, "host-1", {
      engines: [makeEngine({ models: [], version })],
      stateSince: timestamp(AT + seconds * 1000),
    }),
  );
const quiet = (sequence: number, seconds: number) =>
  deliver(
    makeHeartbeat(sequence, AT + seconds * 1000, "host-1", {
      engines: [],
      stateSince: timestamp(AT + seconds * 1000),
    }),
  );

const critical: LlmVerdict = { risk: "CRITICAL", score: 90, explanation: "It looks like an attack." };

function createWorld(opinion: LlmVerdict | Error = critical) {
  const table = createMemoryDynamo();
  let now = AT + 10_000;
  let asked = 0;
  let answer: () => Promise<LlmVerdict> = async () => {
    if (opinion instanceof Error) throw opinion;
    return opinion;
  };
  const clock = () => now;
  const makeWorker = (more: Partial<Deps> = {}) => {
    const deps = createWorkerDeps(table, tenant, { clock, ...more });
    deps.lookUpVerdict = createVerdictLookup(MODEL, deps);
    const ask = async () => {
      asked++;
      return answer();
    };
    const adjudicator = createLlmReviewer(ask, MODEL, LIMITS, deps);
    return { deps, adjudicator };
  };
  const worker = makeWorker();
  const stored = () =>
    [...table.items.values()]
      .filter(({ type, kind }) => type?.S === "Telemetry" && kind?.S === "change")
      .map((item) => decodeItem(telemetryItem, item) as TelemetryChange);
  const due = () => stored().filter(({ reviewDueAt }) => reviewDueAt !== undefined);
  const reviewAll = async ({ deps, adjudicator } = worker) => {
    for (const item of due()) await reviewOne(item, tenant, adjudicator, deps);
  };
  const ofType = (type: string) =>
    [...table.items.values()].filter((item) => item.type?.S === type).map(unmarshalItem);
  return {
    table,
    ...worker,
    makeWorker,
    stored,
    due,
    reviewAll,
    presence: () => ofType("Presence")[0]!,
    incidents: () => Object.fromEntries(ofType("Incident").map((item) => [item.rule, item.status])),
    events: () => ofType("Event").map(({ kind, data }) => `${kind} ${(data as { rule?: string }).rule}`),
    asked: () => asked,
    answer: (next: typeof answer) => {
      answer = next;
    },
    wait: (ms: number) => {
      now += ms;
    },
  };
}

const unavailable = (reason: string) => ({ outcome: "unavailable", reason: expect.stringContaining(reason) });

describe("a review", () => {
  test("delays nothing: state, presence and incident are stored before the request, the verdict is added later", async () => {
    const world = createWorld();
    await recordHeartbeat(doubtful(1, 0), tenant, world.deps);
    expect(world.asked()).toBe(0);
    expect(world.presence()).toMatchObject({ risk: "WARNING", score: 40 });
    expect(world.incidents()).toEqual({ "unapproved-engine": "OPEN" });
    expect(world.stored()).toMatchObject([{ risk: "WARNING", adjudication: unavailable("is pending") }]);
    await world.reviewAll();
    expect(world.asked()).toBe(1);
    expect(world.presence()).toMatchObject({ risk: "CRITICAL", score: 90 });
    expect(world.incidents()).toEqual({ "unapproved-engine": "OPEN", "ai-adjudication": "OPEN" });
    expect(world.stored()).toMatchObject([
      { risk: "CRITICAL", adjudication: { outcome: "judged", after: 90 } },
    ]);
    expect(world.due()).toEqual([]);
    expect(world.events()).toEqual(["incident.opened unapproved-engine", "incident.opened ai-adjudication"]);
  });

  test("results in the same table as a verdict known in advance", async () => {
    const later = createWorld();
    await recordHeartbeat(doubtful(1, 0), tenant, later.deps);
    await later.reviewAll();
    await recordHeartbeat(quiet(2, 5), tenant, later.deps);

    const before = createWorld();
    const verdict = [...later.table.items.values()].find(({ type }) => type?.S === "Verdict")!;
    await before.deps.dynamo("PutItem", { TableName: "memory", Item: verdict });
    await recordHeartbeat(doubtful(1, 0), tenant, before.deps);
    await recordHeartbeat(quiet(2, 5), tenant, before.deps);
    expect(before.asked()).toBe(0);
    expect(contents(before.table)).toEqual(contents(later.table));
  });

  test("of a past state changes that state and its incident, but not the current risk", async () => {
    const world = createWorld();
    await recordHeartbeat(doubtful(1, 0), tenant, world.deps);
    await recordHeartbeat(quiet(2, 5), tenant, world.deps);
    await world.reviewAll();
    expect(world.presence()).toMatchObject({ risk: "INFO", score: 0, sequence: 2 });
    expect(world.stored()).toMatchObject([{ risk: "CRITICAL" }, { risk: "INFO" }]);
    const open = world.presence().openIncidents as { rule: string; absentSince?: string }[];
    expect(open.every(({ absentSince }) => absentSince === timestamp(AT + 5000))).toBe(true);
    expect(open.map(({ rule }) => rule).sort()).toEqual(["ai-adjudication", "unapproved-engine"]);
  });

  test("that ends during a change of state applies to the old state only", async () => {
    const world = createWorld();
    await recordHeartbeat(doubtful(1, 0), tenant, world.deps);
    world.answer(async () => {
      await recordHeartbeat(quiet(2, 5), tenant, world.makeWorker().deps);
      return critical;
    });
    await world.reviewAll();
    expect(world.presence()).toMatchObject({ risk: "INFO", score: 0 });
    expect(world.stored().map(({ risk }) => risk)).toEqual(["CRITICAL", "INFO"]);
  });

  test("by two concurrent workers sends one request and writes once", async () => {
    const world = createWorld();
    await recordHeartbeat(doubtful(1, 0), tenant, world.deps);
    const [item] = world.due();
    const other = world.makeWorker();
    await Promise.all([
      reviewOne(item!, tenant, world.adjudicator, world.deps),
      reviewOne(item!, tenant, other.adjudicator, other.deps),
    ]);
    expect(world.asked()).toBe(1);
    expect(world.events()).toHaveLength(2);
    expect(world.due()).toEqual([]);
  });

  test("survives a crash after any of its writes, and is written once", async () => {
    for (let writes = 0; writes < 6; writes++) {
      const world = createWorld();
      await recordHeartbeat(doubtful(1, 0), tenant, world.deps);
      let left = writes;
      const crashing = world.makeWorker({
        dynamo: (async (operation: "PutItem", input: never) => {
          const isWrite = operation === "PutItem" || /Update|Transact/.test(operation);
          if (isWrite && left-- <= 0) throw new Error("the worker was killed");
          return world.table.dynamo(operation, input);
        }) as Deps["dynamo"],
      });
      await world.reviewAll(crashing).catch(() => {});
      world.wait(90_001); // the lease has expired at this time
      await world.reviewAll();
      expect(world.presence()).toMatchObject({ risk: "CRITICAL", score: 90 });
      expect(world.events().sort()).toEqual([
        "incident.opened ai-adjudication",
        "incident.opened unapproved-engine",
      ]);
      expect(world.due()).toEqual([]);
    }
  });

  test("waits for presence only if a crash interrupted the recording of its state", async () => {
    const world = createWorld();
    const cut = world.makeWorker({
      dynamo: (async (operation: "PutItem", input: never) => {
        if ((operation as string) === "TransactWriteItems") throw new Error("the worker was killed");
        return world.table.dynamo(operation, input);
      }) as Deps["dynamo"],
    });
    await expect(recordHeartbeat(doubtful(1, 0), tenant, cut.deps)).rejects.toThrow("killed");
    await world.reviewAll();
    expect(world.due()).toHaveLength(1);
    await recordHeartbeat(doubtful(1, 0), tenant, world.deps); // the queue delivers the heartbeat again
    world.wait(5001);
    await world.reviewAll();
    expect(world.presence()).toMatchObject({ risk: "CRITICAL" });
    expect(world.events().sort()).toEqual([
      "incident.opened ai-adjudication",
      "incident.opened unapproved-engine",
    ]);
    expect(world.asked()).toBe(1);
  });

  test("is neither repeated nor undone by a redelivery", async () => {
    const world = createWorld();
    await recordHeartbeat(doubtful(1, 0), tenant, world.deps);
    await world.reviewAll();
    const before = contents(world.table);
    for (const deps of [world.deps, world.makeWorker().deps])
      await recordHeartbeat(doubtful(1, 0), tenant, deps);
    await world.reviewAll();
    expect(contents(world.table)).toEqual(before);
    expect(world.asked()).toBe(1);
  });

  test("of a state that an earlier heartbeat replaced applies to the earlier one", async () => {
    const world = createWorld();
    const since = { stateSince: timestamp(AT) };
    const beat = (sequence: number, seconds: number) =>
      deliver(
        makeHeartbeat(sequence, AT + seconds * 1000, "host-1", {
          engines: [makeEngine({ models: [] })],
          ...since,
        }),
      );
    await recordHeartbeat(beat(2, 5), tenant, world.deps);
    const [item] = world.due();
    await recordHeartbeat(beat(1, 0), tenant, world.deps);
    await reviewOne(item!, tenant, world.adjudicator, world.deps);
    await world.reviewAll();
    expect(world.stored()).toMatchObject([{ sequence: 1, risk: "CRITICAL" }]);
    expect(world.presence()).toMatchObject({ risk: "CRITICAL" });
    expect(world.due()).toEqual([]);
  });

  test("lowers the score in the ambiguous band without removing findings", async () => {
    const world = createWorld({ risk: "INFO", score: 0, explanation: "Harmless." });
    await recordHeartbeat(doubtful(1, 0), tenant, world.deps);
    await world.reviewAll();
    expect(world.presence()).toMatchObject({ risk: "WARNING", score: 20 });
    expect(world.incidents()).toEqual({ "unapproved-engine": "OPEN" });
    expect(world.events()).toEqual(["incident.opened unapproved-engine"]);
  });

  test("without a response is retried with growing pauses, then the state gives the reason", async () => {
    const world = createWorld(new Error("away"));
    await recordHeartbeat(doubtful(1, 0), tenant, world.deps);
    const pauses: number[] = [];
    for (let round = 0; round < 10 && world.due().length > 0; round++) {
      await world.reviewAll();
      const [waiting] = world.due();
      if (!waiting) break;
      pauses.push(Date.parse(waiting.reviewDueAt!) - world.deps.clock());
      world.wait(pauses.at(-1)!);
    }
    expect(pauses).toEqual([60_000, 300_000, 1500_000]);
    expect(world.asked()).toBe(4);
    expect(world.stored()).toMatchObject([
      { risk: "WARNING", adjudication: unavailable("no usable response") },
    ]);
    expect(world.presence()).toMatchObject({ risk: "WARNING", score: 40 });
    expect(world.deps.metrics.read().reviews_dropped_total).toBe(1);
  });

  /**
   * Lets each review of the only state fail, until no review is due. Returns the pauses between the attempts
   * in milliseconds.
   */
  async function reviewUntilGivenUp(
    world: ReturnType<typeof createWorld>,
    worker: Parameters<ReturnType<typeof createWorld>["reviewAll"]>[0],
  ): Promise<number[]> {
    const pauses: number[] = [];
    while (world.due().length > 0 && pauses.length < 10) {
      await world.reviewAll(worker).catch(() => {});
      const [waiting] = world.due();
      if (!waiting) break;
      pauses.push(Date.parse(waiting.reviewDueAt!) - world.deps.clock());
      world.wait(pauses.at(-1)!);
    }
    return pauses;
  }

  test("that always fails is tried four times, then the state gives the reason", async () => {
    const world = createWorld();
    await recordHeartbeat(doubtful(1, 0), tenant, world.deps);
    let tries = 0;
    const adjudicator: LlmReviewer = {
      pausedMs: () => 0,
      review: async () => {
        tries++;
        throw new Error("a fault of the program");
      },
    };
    expect(await reviewUntilGivenUp(world, { deps: world.deps, adjudicator })).toEqual([
      90_000, 300_000, 1_500_000, 90_000,
    ]);
    expect(tries).toBe(4);
    expect(world.stored()).toMatchObject([{ risk: "WARNING", adjudication: unavailable("failed 4 times") }]);
    expect(world.deps.metrics.read().reviews_dropped_total).toBe(1);
  });

  test("whose verdict cannot be applied is tried four times, and the verdict stays on the state", async () => {
    const world = createWorld();
    await recordHeartbeat(doubtful(1, 0), tenant, world.deps);
    let tries = 0;
    const failing = world.makeWorker({
      dynamo: (async (operation: "PutItem", input: never) => {
        if ((operation as string) === "TransactWriteItems") {
          tries++;
          throw new Error("the transaction is refused");
        }
        return world.table.dynamo(operation, input);
      }) as Deps["dynamo"],
    });
    expect(await reviewUntilGivenUp(world, failing)).toHaveLength(4);
    expect(tries).toBe(4);
    expect(world.asked()).toBe(1);
    expect(world.stored()).toMatchObject([{ risk: "CRITICAL", adjudication: { outcome: "judged" } }]);
  });

  test("that failed is given up after six hours, but the first attempt is always made", async () => {
    const world = createWorld();
    await recordHeartbeat(doubtful(1, 0), tenant, world.deps);
    world.wait(7 * 3600 * 1000);
    let tries = 0;
    const adjudicator: LlmReviewer = {
      pausedMs: () => 0,
      review: async () => {
        tries++;
        throw new Error("a fault of the program");
      },
    };
    expect(await reviewUntilGivenUp(world, { deps: world.deps, adjudicator })).toEqual([90_000]);
    expect(tries).toBe(1);
    expect(world.stored()).toMatchObject([{ adjudication: unavailable("6 hours") }]);
  });
});

describe("createReviewLoops()", () => {
  const start = (world: ReturnType<typeof createWorld>, concurrency: number, adjudicator: LlmReviewer) => {
    const stop = new AbortController();
    const reviews = createReviewLoops({
      deps: world.deps,
      reviewer: adjudicator,
      concurrency,
      random: () => 1000,
    });
    void reviews.run(stop.signal);
    return { reviews, stop };
  };
  const after = async (isTrue: () => boolean) => {
    while (!isTrue()) await Bun.sleep(5); // the timeout of the test limits this loop
  };

  test("reviews all pending states with a limited number of concurrent requests", async () => {
    const world = createWorld();
    let underWay = 0;
    let highest = 0;
    world.answer(async () => {
      highest = Math.max(highest, ++underWay);
      await Bun.sleep(2); // the latency of the language model
      underWay--;
      return { risk: "WARNING", score: 50, explanation: "So it is." };
    });
    const { reviews, stop } = start(world, 4, world.adjudicator);
    world.deps.reviewDue = reviews.wake;
    for (let i = 0; i < 30; i++) await recordHeartbeat(doubtful(i + 1, i, `1.${i}`), tenant, world.deps);
    world.wait(60_000);
    reviews.wake(TENANT);
    await after(() => world.due().length === 0);
    expect(world.stored().every(({ score }) => score === 50)).toBe(true);
    expect(highest).toBe(2); // one tenant gets half of the concurrent requests
    stop.abort();
  }, 60_000);

  test("a tenant whose reviews never end leaves half of the slots to others", async () => {
    const world = createWorld();
    for (let i = 0; i < 5; i++) await recordHeartbeat(doubtful(i + 1, i, `1.${i}`), tenant, world.deps);
    const other = { ...doubtful(1, 0, "9.9"), tenantId: "org_other" };
    await recordHeartbeat(other, { ...tenant, tenantId: "org_other" }, world.deps);
    world.wait(60_000);
    const asked: string[] = [];
    const adjudicator: LlmReviewer = {
      pausedMs: () => 0,
      review: (_judgement, _heartbeat, { tenantId }) => {
        asked.push(tenantId);
        return new Promise(() => {});
      },
    };
    world.deps.tenant = async (tenantId) => ({ ...tenant, tenantId });
    const { reviews, stop } = start(world, 2, adjudicator);
    reviews.wake(TENANT);
    await after(() => asked.length === 1);
    reviews.wake("org_other");
    await after(() => asked.length === 2);
    expect(asked).toEqual([TENANT, "org_other"]);
    stop.abort();
  });

  test("makes no reads and requests while requests are paused", async () => {
    const world = createWorld();
    await recordHeartbeat(doubtful(1, 0), tenant, world.deps);
    const queries = world.table.calls.get("Query") ?? 0;
    const { reviews, stop } = start(world, 2, { ...world.adjudicator, pausedMs: () => 1000 });
    reviews.wake(TENANT);
    await Bun.sleep(20); // time in which there must be no queries
    expect(world.table.calls.get("Query") ?? 0).toBe(queries);
    expect(world.due()).toHaveLength(1);
    expect(world.due()[0]!.assetId).toBe(ASSET);
    stop.abort();
  });
});
