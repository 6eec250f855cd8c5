import { describe, expect, test } from "bun:test";
import { makeEngine, makeHeartbeat } from "../../../../lz/platform/simulated-agents.ts";
import { unmarshalItem } from "../../../../shared/table/dynamo.ts";
import { policy } from "../../../../shared/table/items/policy.ts";
import { timestamp } from "../../../../shared/time/clock.ts";
import type { Engine } from "../../../../shared/wire/heartbeat.ts";
import { recordHeartbeat } from "../../../../worker/record/record-heartbeat.ts";
import { createMemoryDynamo, type MemoryDynamo } from "../../../support/dynamo/memory-dynamo.ts";
import { createWorkerDeps, deliver, makeTenant } from "../../../support/dynamo/worker-table.ts";

const START_MS = Date.parse("2026-11-20T08:00:00.000Z");
const at = (second: number): string => timestamp(START_MS + second * 1000);
const EXPOSED = [makeEngine({ bind: ["0.0.0.0"], auth: "open" })];
const UNKNOWN = [makeEngine({ id: "jan", name: "Jan" })];

type Beat = { second: number; engines?: Engine[]; host?: string; edition?: number };

const tenantOf = (edition: number, resolution: number) =>
  makeTenant({
    telemetryResolutionSeconds: resolution,
    quietPeriodSeconds: 600,
    policy: policy.parse({ approvedModels: [`edition-${edition}`], disabledRules: ["baseline-novelty"] }),
  });

/**
 * Records heartbeats in the given order, each with its edition of the policy. All report a state that began
 * at second 0.
 */
async function recordAll(beats: readonly Beat[], { resolution = 60, table = createMemoryDynamo() } = {}) {
  const worker = createWorkerDeps(table, tenantOf(0, resolution));
  for (const { second, engines = EXPOSED, host = "host-1", edition = 0 } of beats) {
    const beat = makeHeartbeat(second + 1, START_MS + second * 1000, host, { engines, stateSince: at(0) });
    await recordHeartbeat(deliver(beat), tenantOf(edition, resolution), worker);
  }
  return table;
}

const items = (table: MemoryDynamo): Record<string, unknown>[] =>
  [...table.items.values()].map((item) => unmarshalItem(item));
const presenceIn = (table: MemoryDynamo) => items(table).find(({ type }) => type === "Presence")!;
/** Second and engine ids of each change, oldest first. */
const changesIn = (table: MemoryDynamo) =>
  items(table)
    .filter(({ kind }) => kind === "change")
    .map((item) => ({
      second: (Date.parse(String(item.at)) - START_MS) / 1000,
      engines: (item.engines as Engine[]).map(({ id }) => id),
      hostname: String(item.hostname),
    }))
    .sort((a, b) => a.second - b.second);

describe("recordHeartbeat() with an edited policy", () => {
  test("assesses a host once per edit, at its next heartbeat, with two edits in one interval", async () => {
    const edited = [0, 0, 1, 2, 2, 2, 2, 2];
    const seconds = [0, 30, 60, 90, 120, 150, 400, 1000];
    const table = await recordAll(seconds.map((second, i) => ({ second, edition: edited[i]! })));
    expect(changesIn(table).map(({ second }) => second)).toEqual([0, 60, 90]);
    expect(presenceIn(table)).toMatchObject({ stateAt: at(90), stateSince: at(0) });
  });

  test("does so at the longest resolution, with many heartbeats per interval", async () => {
    const later = Array.from({ length: 40 }, (_, i) => ({ second: 120 + i * 60, edition: 2 }));
    const table = await recordAll([{ second: 0 }, { second: 60, edition: 1 }, ...later], {
      resolution: 3600,
    });
    expect(changesIn(table).map(({ second }) => second)).toEqual([0, 60, 120]);
  });

  test("assesses again when an edit is undone", async () => {
    const edited = [0, 0, 1, 0, 0];
    const table = await recordAll(edited.map((edition, i) => ({ second: i * 30, edition })));
    expect(changesIn(table).map(({ second }) => second)).toEqual([0, 60, 90]);
  });

  test("does not assess again for a late heartbeat, but at the next current one", async () => {
    const table = await recordAll([{ second: 0 }, { second: 300 }]);
    const before = presenceIn(table);
    await recordAll([{ second: 100, edition: 1 }], { table });
    expect(presenceIn(table)).toEqual(before);
    await recordAll([{ second: 305, edition: 1 }], { table });
    expect(changesIn(table).map(({ second }) => second)).toEqual([0, 305]);
  });
});

describe("recordHeartbeat() for an agent with wrong state dates", () => {
  test("stores every change between two hosts that share an identity", async () => {
    const beats = [0, 1, 3, 4, 6, 7].map((second, i) => ({ second, host: i % 2 === 0 ? "a" : "b" }));
    const flips = changesIn(await recordAll(beats)).map(({ second, hostname }) => [second, hostname]);
    expect(flips).toEqual(beats.map(({ second, host }) => [second, host]));
  });

  test("inserts a late contradicting heartbeat between two items of the current state", async () => {
    const table = await recordAll([{ second: 0 }, { second: 400 }]);
    const seen = String(presenceIn(table).lastSeenAt);
    await recordAll([{ second: 100, engines: UNKNOWN }], { table });
    const resumed = (Date.parse(seen) - START_MS) / 1000;
    expect(changesIn(table).map(({ second, engines }) => [second, ...engines])).toEqual([
      [0, "ollama"],
      [100, "jan"],
      [resumed, "ollama"],
    ]);
    const presence = presenceIn(table);
    expect(presence).toMatchObject({ stateAt: seen, lastSeenAt: seen, engines: [{ id: "ollama" }] });
    const open = presence.openIncidents as { engine: string; absentSince?: string }[];
    const gone = open.filter(({ engine }) => engine === "jan").map(({ absentSince }) => absentSince);
    expect(new Set(gone)).toEqual(new Set([seen]));
    expect(open.filter(({ engine }) => engine === "ollama").every((one) => !one.absentSince)).toBe(true);
    expect(open.some(({ engine }) => engine === "ollama")).toBe(true);
  });

  test("resolves incidents of only that heartbeat after the quiet period, and no others", async () => {
    const late = { second: 100, engines: UNKNOWN };
    const table = await recordAll([{ second: 0 }, { second: 400 }, late, late, { second: 1200 }]);
    const states = items(table)
      .filter(({ type }) => type === "Incident")
      .map(({ engine, status }) => `${engine} ${status}`);
    expect(new Set(states)).toEqual(new Set(["jan RESOLVED", "ollama OPEN"]));
  });
});
