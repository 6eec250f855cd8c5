import { expect, test } from "bun:test";
import { makeEngine, makeHeartbeat } from "../../../../lz/platform/simulated-agents.ts";
import { unmarshalItem } from "../../../../shared/table/dynamo.ts";
import { timestamp } from "../../../../shared/time/clock.ts";
import { recordHeartbeat } from "../../../../worker/record/record-heartbeat.ts";
import { createMemoryDynamo, type MemoryDynamo } from "../../../support/dynamo/memory-dynamo.ts";
import { createWorkerDeps, deliver, makeTenant } from "../../../support/dynamo/worker-table.ts";

const START_MS = Date.parse("2026-11-20T08:00:00.000Z");
const TENANT = makeTenant({ quietPeriodSeconds: 60 });
const EXPOSED = [makeEngine({ bind: ["0.0.0.0"] })];

const beat = (second: number, since: number, engines = EXPOSED) => {
  const stateSince = timestamp(START_MS + since * 1000);
  const made = makeHeartbeat(second + 1, START_MS + second * 1000, "host-1", { engines, stateSince });
  return deliver(made);
};
const itemsOf = (table: MemoryDynamo, type: string) =>
  [...table.items.values()].filter((item) => item.type?.S === type).map(unmarshalItem);

/** Members that an event and its incident have in common. */
const TOLD = [
  "rule",
  "engine",
  "engineName",
  "risk",
  "points",
  "explanation",
  "openedAt",
  "title",
  "atlas",
  "remediation",
];
const pick = (item: Record<string, unknown>) => Object.fromEntries(TOLD.map((name) => [name, item[name]]));

test("events of an incident contain all its details, including title, technique and remediation", async () => {
  const table = createMemoryDynamo();
  const worker = createWorkerDeps(table, TENANT);
  await recordHeartbeat(beat(0, 0), TENANT, worker);
  const incidents = new Map(itemsOf(table, "Incident").map((item) => [item.rule, item]));
  const opened = itemsOf(table, "Event").filter(({ kind }) => kind === "incident.opened");
  expect(opened.length).toBeGreaterThan(0);
  expect(opened.length).toBe(incidents.size);
  for (const { data } of opened as { data: Record<string, unknown> }[]) {
    const incident = incidents.get(data.rule)!;
    expect(incident.title).toBeString();
    expect(incident.remediation).toBeString();
    expect(data).toEqual(JSON.parse(JSON.stringify(pick(incident))));
  }
  await recordHeartbeat(beat(10, 10, []), TENANT, worker);
  await recordHeartbeat(beat(100, 10, []), TENANT, worker);
  const resolved = itemsOf(table, "Event").filter(({ kind }) => kind === "incident.resolved");
  expect(resolved).toHaveLength(opened.length);
  for (const { data } of resolved as { data: Record<string, unknown> }[]) {
    const incident = itemsOf(table, "Incident").find(({ rule }) => rule === data.rule)!;
    expect(incident.resolution).toBeString();
    expect(data.resolution).toBe(incident.resolution as string);
  }
});

test("presence lists open incidents in order of their names", async () => {
  const table = createMemoryDynamo();
  const engines = ["zeta", "mike", "alpha"].map((id) => makeEngine({ id, name: id, bind: ["0.0.0.0"] }));
  await recordHeartbeat(beat(0, 0, engines), TENANT, createWorkerDeps(table, TENANT));
  const [presence] = itemsOf(table, "Presence") as { openIncidents: { rule: string; engine: string }[] }[];
  const names = presence!.openIncidents.map(({ rule, engine }) => `${rule} ${engine}`);
  expect(names.length).toBeGreaterThan(2);
  expect(names).toEqual([...names].sort());
});

test("a duplicate of a late state causes no write and no assessment", async () => {
  const table = createMemoryDynamo();
  const worker = createWorkerDeps(table, TENANT);
  await recordHeartbeat(beat(100, 100, []), TENANT, worker);
  const late = beat(50, 50);
  await recordHeartbeat(late, TENANT, worker);
  const before = new Map(table.calls);
  await recordHeartbeat(late, TENANT, worker);
  const made = Object.fromEntries(
    [...table.calls]
      .map(([name, count]) => [name, count - (before.get(name) ?? 0)])
      .filter(([, count]) => count !== 0),
  );
  expect(
    Object.keys(made).filter((name) => !["GetItem", "BatchGetItem", "PutItem"].includes(name as string)),
  ).toEqual([]);
  expect(made.Query ?? 0).toBe(0);
});
