import { describe, expect, test } from "bun:test";
import { makeEngine, makeHeartbeat } from "../../../../lz/platform/simulated-agents.ts";
import type { Log } from "../../../../shared/observability/log.ts";
import { unmarshalItem } from "../../../../shared/table/dynamo.ts";
import { timestamp } from "../../../../shared/time/clock.ts";
import { MINUTE_MS } from "../../../../shared/time/durations.ts";
import { pauseMs, recordFleet } from "../../../../worker/fleet/count-fleet.ts";
import { recordHeartbeat } from "../../../../worker/record/record-heartbeat.ts";
import { createIds, engineOf, type Host, itemsOf } from "../../../browser/seed.ts";
import { believing } from "../../../support/control/authority.ts";
import { createMemoryDynamo } from "../../../support/dynamo/memory-dynamo.ts";
import { createWorkerDeps, deliver, makeTenant, TENANT } from "../../../support/dynamo/worker-table.ts";

const NOW_MS = Date.parse("2026-11-22T12:00:00.000Z");

const model = { name: "llama3.1:8b", loaded: true, sizeBytes: 4_920_000_000, licence: "Llama 3.1" };
const client = { name: "code", pid: 9, connections: 1 };

async function fleetOf(hosts: number) {
  const table = createMemoryDynamo();
  const nextId = createIds(NOW_MS - 1e9);
  const clock = { nowMs: NOW_MS };
  const tenant = async () => makeTenant();
  const authority = believing(table.dynamo, undefined, "memory");
  const logged: string[] = [];
  const log: Log = (_level, event) => void logged.push(event);
  const deps = { dynamo: table.dynamo, table: "memory", clock: () => clock.nowMs, tenant, authority, log };
  for (let i = 0; i < hosts; i++) {
    const host: Host = {
      ...{ tenantId: TENANT, assetId: nextId(), hostname: `host-${i}`, employeeId: "mara", os: "Debian" },
      enrolledAtMs: NOW_MS,
      ...(i !== 2 && { lastSeenAtMs: i === 1 ? NOW_MS - 3600_000 : NOW_MS }),
      states: [{ atMs: NOW_MS, engines: i === 0 ? [engineOf({ models: [model], clients: [client] })] : [] }],
      ...(i === 0 && {
        findings: [
          {
            finding: {
              ...{ rule: "exposed-engine", engine: "ollama", engineName: "Ollama", explanation: "It is." },
              ...{ risk: "CRITICAL" as const, points: 80 },
            },
            openedAtMs: NOW_MS,
          },
        ],
      }),
    };
    for (const Item of itemsOf(host)) await table.dynamo("PutItem", { TableName: "memory", Item });
  }
  const item = (sort: string) => {
    const stored = table.items.get(`TENANT#${TENANT} | FLEET#${sort}`);
    return stored && unmarshalItem(stored);
  };
  return { table, deps, clock, item, logged };
}

describe("recordFleet()", () => {
  test("stores the newest counts and the counts of the hour", async () => {
    const { deps, item } = await fleetOf(4);
    expect(await recordFleet(TENANT, deps)).toBe(true);
    expect(item("2026-11-22T12")).toMatchObject({
      ...{ type: "FleetHour", at: timestamp(NOW_MS) },
      ...{ hosts: 4, reporting: 2, withAi: 1, critical: 1, warning: 0 },
    });
    expect(item("~")).toMatchObject({
      at: timestamp(NOW_MS),
      counts: {
        ...{ hosts: 4, reporting: 2, silent: 1, never: 1, withAi: 1 },
        clients: { total: 1, first: [{ key: "code", name: "code", hosts: 1 }] },
        models: { total: 1 },
      },
    });
  });

  test("counts expired hosts separately, without their incidents, until they report again", async () => {
    const { deps, clock, item, table } = await fleetOf(4);
    clock.nowMs += 31 * 24 * 60 * MINUTE_MS;
    const [presence] = [...table.items.values()].filter(({ type, hostname }) => {
      return type?.S === "Presence" && hostname?.S === "host-3";
    });
    presence!.lastSeenAt = { S: timestamp(clock.nowMs) };
    await recordFleet(TENANT, deps);
    expect(item("~")).toMatchObject({
      counts: { hosts: 1, reporting: 1, silent: 0, never: 0, expired: 3, withAi: 0, models: { total: 0 } },
    });
    const hour = timestamp(clock.nowMs).slice(0, 13);
    expect(item(hour)).toMatchObject({ hosts: 1, reporting: 1, critical: 0 });
    for (const stored of table.items.values())
      if (stored.type?.S === "Presence") stored.lastSeenAt = { S: timestamp(clock.nowMs) };
    clock.nowMs += 60 * MINUTE_MS;
    await recordFleet(TENANT, deps);
    expect(item("~")).toMatchObject({ counts: { hosts: 3, silent: 3, expired: 1 } });
    expect(item(timestamp(clock.nowMs).slice(0, 13))).toMatchObject({ critical: 1 });
  });

  test("does not count again before the next count is due", async () => {
    const { deps, clock, item } = await fleetOf(1);
    await recordFleet(TENANT, deps);
    clock.nowMs += MINUTE_MS - 1;
    expect(await recordFleet(TENANT, deps)).toBe(false);
    clock.nowMs += 1;
    expect(await recordFleet(TENANT, deps)).toBe(true);
    clock.nowMs += 60 * MINUTE_MS;
    expect(await recordFleet(TENANT, deps)).toBe(true);
    expect([item("2026-11-22T12")?.at, item("2026-11-22T13")?.at]).toEqual([
      "2026-11-22T12:01:00.000Z",
      "2026-11-22T13:01:00.000Z",
    ]);
  });

  test("is done by one of several workers; after a crash another one takes over in five minutes", async () => {
    const { deps, clock, table } = await fleetOf(1);
    const done = await Promise.all([1, 2, 3].map(() => recordFleet(TENANT, deps)));
    expect(done.filter(Boolean)).toHaveLength(1);
    clock.nowMs += 10 * MINUTE_MS;
    const dying = { ...deps, dynamo: failingQuery(table.dynamo) };
    await expect(recordFleet(TENANT, dying)).rejects.toThrow("gone");
    expect(await recordFleet(TENANT, deps)).toBe(false);
    clock.nowMs += 5 * MINUTE_MS + 1;
    expect(await recordFleet(TENANT, deps)).toBe(true);
  });

  test("pauseMs() grows with the fleet, from a minute to half an hour", () =>
    expect([0, 600, 10_000, 1e6].map(pauseMs)).toEqual([60_000, 60_000, 900_000, 1_800_000]));
});

const failingQuery = (dynamo: ReturnType<typeof createMemoryDynamo>["dynamo"]) =>
  (async (operation: never, input: never) => {
    if (operation === "Query") throw new Error("gone");
    return dynamo(operation, input);
  }) as unknown as typeof dynamo;

describe("recordHeartbeat() stores the inventory of the newest state", () => {
  const beat = (sequence: number, minute: number, engines: ReturnType<typeof makeEngine>[]) => {
    const atMs = NOW_MS + minute * MINUTE_MS;
    return makeHeartbeat(sequence, atMs, "host-1", { stateSince: timestamp(atMs), engines });
  };
  const states = [
    beat(1, 0, [makeEngine({ models: [{ ...model, loaded: false }, model], clients: [client] })]),
    beat(2, 2, [makeEngine({ models: [], clients: [{ remote: "10.0.0.9", connections: 1 }] })]),
  ];
  const inventoryAfter = async (beats: typeof states) => {
    const table = createMemoryDynamo();
    const worker = createWorkerDeps(table, makeTenant());
    for (const each of beats) await recordHeartbeat(deliver(each), makeTenant(), worker);
    const [, stored] = [...table.items].find(([key]) => key.includes("| INVENTORY#"))!;
    return unmarshalItem(stored);
  };

  test("models with metadata, loaded ones first, and clients by name", async () => {
    expect(await inventoryAfter(states.slice(0, 1))).toMatchObject({
      stateAt: timestamp(NOW_MS),
      models: [
        { name: "llama3.1:8b", loaded: true, licence: "Llama 3.1", sizeBytes: 4_920_000_000 },
        { name: "llama3.1:8b", loaded: false },
      ],
      clients: [{ name: "code" }],
    });
  });

  test("models on disk of products that do not run, after those of engines", async () => {
    const [first] = states;
    const stores = [{ id: "jan", name: "Jan", models: [{ name: "phi4", licence: "mit" }] }];
    expect((await inventoryAfter([{ ...first!, stores }])).models).toMatchObject([
      { name: "llama3.1:8b", loaded: true, engine: "ollama" },
      { name: "llama3.1:8b", loaded: false, engine: "ollama" },
      { name: "phi4", loaded: false, licence: "mit", engine: "jan" },
    ]);
  });

  test("a limited number of models, and the number of omitted ones", async () => {
    const [first] = states;
    const models = Array.from({ length: 70 }, (_, at) => ({ name: `m${at}` }));
    const stores = [
      { id: "jan", name: "Jan", models: models.slice(0, 40) },
      { id: "ollama", name: "Ollama", models: models.slice(40) },
    ];
    const after = await inventoryAfter([{ ...first!, engines: [], stores }]);
    expect(after).toMatchObject({ models: { length: 64 }, modelsLeft: 6 });
    expect(await inventoryAfter([{ ...first!, engines: [], stores: [stores[0]!] }])).not.toHaveProperty(
      "modelsLeft",
    );
  });

  test("a late state does not replace the inventory of a newer one", async () => {
    const inOrder = await inventoryAfter(states);
    expect(inOrder).toMatchObject({ models: [], clients: [{ name: "another host" }] });
    expect(await inventoryAfter([...states].reverse())).toEqual(inOrder);
  });
});
