import { describe, expect, test } from "bun:test";
import { makeEngine, makeHeartbeat } from "../../../../lz/platform/simulated-agents.ts";
import { DynamoFault, unmarshalItem } from "../../../../shared/table/dynamo.ts";
import { policy } from "../../../../shared/table/items/policy.ts";
import { timestamp } from "../../../../shared/time/clock.ts";
import { heartbeat, LIMITS } from "../../../../shared/wire/heartbeat.ts";
import type { Deps } from "../../../../worker/receive/deps.ts";
import { addsNothing, recordHeartbeat } from "../../../../worker/record/record-heartbeat.ts";
import { createMemoryDynamo, type MemoryDynamo } from "../../../support/dynamo/memory-dynamo.ts";
import { contents, createWorkerDeps, deliver, makeTenant } from "../../../support/dynamo/worker-table.ts";

const START_MS = Date.parse("2026-11-20T08:00:00.000Z");
const at = (second: number): string => timestamp(START_MS + second * 1000);
const TENANT = makeTenant({ quietPeriodSeconds: 60 });
const EXPOSED = [makeEngine({ bind: ["0.0.0.0"] })];

/**
 * Heartbeats of a state, its samples, another state, a late state, a state that returns, and a state after
 * the quiet period.
 */
const BEATS = [
  { second: 0, since: 0, engines: EXPOSED },
  { second: 70, since: 0, engines: EXPOSED },
  { second: 140, since: 130, engines: [] },
  { second: 100, since: 90, engines: [makeEngine({ id: "jan", name: "Jan" })] },
  { second: 10, since: 0, engines: EXPOSED },
  { second: 300, since: 130, engines: [] },
].map(({ second, since, engines }) =>
  deliver(makeHeartbeat(second + 1, START_MS + second * 1000, "host-1", { engines, stateSince: at(since) })),
);

/**
 * Records all heartbeats in order. A heartbeat that failed is recorded again, as after a redelivery by the
 * queue. Returns the number of failures.
 */
async function recordAll(table: MemoryDynamo, worker: Deps): Promise<number> {
  let refused = 0;
  for (const beat of BEATS) {
    await recordHeartbeat(beat, TENANT, worker).catch(async () => {
      refused++;
      await recordHeartbeat(beat, TENANT, worker);
    });
  }
  expect(table.items.size).toBeGreaterThan(0);
  return refused;
}

describe("recordHeartbeat() when one call to the table fails", () => {
  test("leaves the heartbeat in the queue, and the redelivery results in the same table, for every call", async () => {
    const whole = createMemoryDynamo();
    expect(await recordAll(whole, createWorkerDeps(whole, TENANT))).toBe(0);
    const callsMade = [...whole.calls.values()].reduce((sum, count) => sum + count, 0);
    expect(callsMade).toBeGreaterThan(20);
    for (let failing = 0; failing < callsMade; failing++) {
      const table = createMemoryDynamo();
      let call = 0;
      const dynamo: Deps["dynamo"] = async (operation, input) => {
        if (call++ === failing) throw new DynamoFault("ProvisionedThroughputExceededException");
        return table.dynamo(operation, input);
      };
      const refused = await recordAll(table, createWorkerDeps({ ...table, dynamo }, TENANT));
      expect([failing, refused]).toEqual([failing, 1]);
      expect(contents(table)).toEqual(contents(whole));
    }
  }, 60_000);

  test("does not treat a malformed write as an earlier one that succeeded", async () => {
    const table = createMemoryDynamo();
    const dynamo: Deps["dynamo"] = async (operation, input) => {
      if (operation === "PutItem") throw new DynamoFault("ValidationException");
      return table.dynamo(operation, input);
    };
    const worker = createWorkerDeps({ ...table, dynamo }, TENANT);
    await expect(recordHeartbeat(BEATS[0]!, TENANT, worker)).rejects.toThrow("ValidationException");
  });
});

describe("recordHeartbeat() for a state equal to the one before", () => {
  const RAW = 7n;
  const equal = (second: number) => ({
    ...deliver(
      makeHeartbeat(second + 1, START_MS + second * 1000, "host-1", { engines: EXPOSED, stateSince: at(0) }),
    ),
    raw: RAW,
  });
  const approving = (approvedEngines: string[]) =>
    makeTenant({ policy: policy.parse({ approvedEngines, disabledRules: ["baseline-novelty"] }) });

  test("makes no request under the same policy", async () => {
    const table = createMemoryDynamo();
    const tenant = approving([]);
    const worker = createWorkerDeps(table, tenant);
    await recordHeartbeat(equal(0), tenant, worker);
    table.calls.clear();
    await recordHeartbeat(equal(1), tenant, worker);
    expect(Object.fromEntries(table.calls)).toEqual({});
  });

  test("adds the sample of a new interval, and a late heartbeat of an earlier state", async () => {
    const table = createMemoryDynamo();
    const tenant = approving([]);
    const worker = createWorkerDeps(table, tenant);
    await recordHeartbeat(equal(60), tenant, worker);
    await recordHeartbeat(equal(660), tenant, worker);
    const known = () => worker.presences.peek(TENANT.tenantId, equal(0).assetId);
    expect(addsNothing(equal(661), known(), tenant)).toBe(true);
    expect(addsNothing(equal(360), known(), tenant)).toBe(false);
    const left = { ...equal(30), stateSince: at(30) };
    await recordHeartbeat({ ...equal(700), stateSince: at(700) }, tenant, worker);
    expect(addsNothing(left, known(), tenant)).toBe(false);
  });

  test("does not treat a late state as the newest one", async () => {
    const table = createMemoryDynamo();
    const tenant = approving([]);
    const worker = createWorkerDeps(table, tenant);
    const idle = (second: number) => ({
      ...deliver(
        makeHeartbeat(second + 1, START_MS + second * 1000, "host-1", {
          engines: [],
          stateSince: at(second),
        }),
      ),
      raw: RAW + 1n,
    });
    const hash = () => [...table.items.values()].find(({ type }) => type?.S === "Presence")!.stateHash!.S;
    await recordHeartbeat({ ...equal(100), stateSince: at(100) }, tenant, worker);
    const newest = hash();
    await recordHeartbeat(idle(50), tenant, worker);
    expect(hash()).toBe(newest!);
    await recordHeartbeat(idle(160), tenant, worker);
    expect(hash()).not.toBe(newest!);
  });

  test("parses a heartbeat with another state", async () => {
    const table = createMemoryDynamo();
    const tenant = approving([]);
    const worker = createWorkerDeps(table, tenant);
    await recordHeartbeat(equal(0), tenant, worker);
    await recordHeartbeat({ ...equal(1), raw: RAW + 1n, stateSince: at(1) }, tenant, worker);
    await recordHeartbeat({ ...equal(2), raw: RAW + 2n }, tenant, worker);
    const other = makeHeartbeat(4, START_MS + 3000, "host-1", { engines: [], stateSince: at(0) });
    await recordHeartbeat({ ...deliver(other), raw: RAW + 3n }, tenant, worker);
    const presence = [...table.items.values()].find(({ type }) => type?.S === "Presence")!;
    expect(presence).toMatchObject({ stateAt: { S: at(3) }, engines: { L: [] } });
  });

  test("detects that the spool crosses its limit", async () => {
    const table = createMemoryDynamo();
    const tenant = approving([]);
    const worker = createWorkerDeps(table, tenant);
    await recordHeartbeat(equal(0), tenant, worker);
    const spool = { waiting: 0, dropped: 1 };
    const lossy = makeHeartbeat(11, START_MS + 10_000, "host-1", {
      engines: EXPOSED,
      stateSince: at(0),
      spool,
    });
    await recordHeartbeat(
      { ...deliver(lossy), raw: RAW },
      makeTenant({ ...tenant, telemetryResolutionSeconds: 1 }),
      worker,
    );
    const rules = [...table.items.values()]
      .filter(({ type }) => type?.S === "Incident")
      .map(({ rule }) => rule?.S);
    expect(rules).toContain("lost-heartbeats");
  });

  test("adds to the baseline if the heartbeat before was too late for it", async () => {
    const table = createMemoryDynamo();
    const tenant = approving([]);
    const worker = createWorkerDeps(table, tenant);
    await recordHeartbeat({ ...equal(0), receivedAt: at(13 * 3600) }, tenant, worker);
    const baselines = () => [...table.items.values()].filter(({ type }) => type?.S === "Baseline");
    expect(baselines()).toHaveLength(0);
    await recordHeartbeat(equal(1), tenant, worker);
    expect(baselines()).toHaveLength(1);
  });

  test("assesses the host again under an edited policy", async () => {
    const table = createMemoryDynamo();
    const worker = createWorkerDeps(table, approving([]));
    await recordHeartbeat(equal(0), approving([]), worker);
    await recordHeartbeat(equal(1), approving(["ollama"]), worker);
    const items = [...table.items.values()].map((item) => unmarshalItem(item));
    const rulesAt = (time: string) =>
      (items.find((item) => item.kind === "change" && item.at === time)?.findings as { rule: string }[])?.map(
        ({ rule }) => rule,
      );
    expect(rulesAt(at(0))).toContain("unapproved-engine");
    expect(rulesAt(at(1))).toBeDefined();
    expect(rulesAt(at(1))).not.toContain("unapproved-engine");
    expect(items.find(({ type }) => type === "Presence")).toMatchObject({ stateAt: at(1) });
  });

  test("assesses it again under the edited policy also when the first heartbeat after the edit is an older one", async () => {
    const table = createMemoryDynamo();
    const worker = createWorkerDeps(table, approving([]));
    await recordHeartbeat(equal(0), approving([]), worker);
    await recordHeartbeat(equal(300), approving([]), worker);
    await recordHeartbeat(equal(150), approving(["ollama"]), worker);
    await recordHeartbeat(equal(301), approving(["ollama"]), worker);
    const presence = [...table.items.values()].find(({ type }) => type?.S === "Presence")!;
    expect(presence.stateAt).toEqual({ S: at(301) });
  });
});

test("recordHeartbeat() stores the largest heartbeat that the edge accepts, with every finding and three bytes per character", async () => {
  const wide = (length: number) => "語".repeat(length);
  const models = (count: number) =>
    Array.from({ length: count }, (_, i) => ({
      name: `${i}${wide(24)}`,
      loaded: i % 2 === 0,
      format: "gguf" as const,
    }));
  const engines = Array.from({ length: LIMITS.ENGINES_MAX }, (_, i) =>
    makeEngine({
      id: `engine-${i}`,
      name: wide(80),
      bind: ["0.0.0.0"],
      auth: "open",
      renamed: true,
      executable: `/${wide(30)}`,
      models: models(28),
    }),
  );
  const beat = makeHeartbeat(1, START_MS, "host-1", { engines, stateSince: at(0) });
  const bytes = Buffer.byteLength(JSON.stringify(heartbeat.parse(beat)));
  expect(bytes).toBeWithin(0.9 * LIMITS.BODY_BYTES_MAX, LIMITS.BODY_BYTES_MAX);
  const table = createMemoryDynamo();
  await recordHeartbeat(deliver(beat), TENANT, createWorkerDeps(table, TENANT));
  expect([...table.items.values()].filter(({ kind }) => kind?.S === "change")).toHaveLength(1);
});
