import { describe, expect, test } from "bun:test";
import { makeEngine, makeHeartbeat } from "../../../../lz/platform/simulated-agents.ts";
import { identityConflictOf, noteRefused, noteRun, RUNS_MAX } from "../../../../shared/fleet/identity-use.ts";
import { marshalItem } from "../../../../shared/table/dynamo.ts";
import type { AssetItem } from "../../../../shared/table/items/asset/asset.ts";
import { type IdentityUse, presenceItem } from "../../../../shared/table/items/asset/presence.ts";
import { decodeItem } from "../../../../shared/table/items/decode.ts";
import { type IncidentItem, incidentItem } from "../../../../shared/table/items/incident.ts";
import { policy } from "../../../../shared/table/items/policy.ts";
import { assetKey, incidentKey, presenceKey } from "../../../../shared/table/keys.ts";
import { timestamp } from "../../../../shared/time/clock.ts";
import { recordHeartbeat } from "../../../../worker/record/record-heartbeat.ts";
import { recordSighting } from "../../../../worker/record/record-sighting.ts";
import { createMemoryDynamo } from "../../../support/dynamo/memory-dynamo.ts";
import {
  ASSET,
  createWorkerDeps,
  deliver,
  makeTenant,
  TENANT,
} from "../../../support/dynamo/worker-table.ts";

const START_MS = Date.parse("2026-11-20T08:00:00.000Z");
const at = (seconds: number) => timestamp(START_MS + seconds * 1000);
const runNamed = (name: string) => name.padEnd(22, "_");
const INTERVAL_MS = 5000;

describe("noteRun() and identityConflictOf()", () => {
  /** Use of an identity after these heartbeats, in the order in which they are recorded. */
  const noted = (beats: readonly [name: string, seconds: number][]): IdentityUse =>
    beats.reduce<IdentityUse | undefined>(
      (use, [name, seconds]) =>
        noteRun(use, { run: runNamed(name), hostname: name, at: at(seconds), intervalMs: INTERVAL_MS }),
      undefined,
    )!;
  const machines = (beats: readonly [string, number][], seconds = beats.at(-1)![1]) =>
    identityConflictOf(noted(beats), { at: at(seconds), intervalMs: INTERVAL_MS })?.machines.map(
      ({ hostname }) => hostname,
    );

  test("two alternating daemons are two machines after the earlier one returned twice", () => {
    expect(
      machines([
        ["a", 0],
        ["b", 3],
        ["a", 5],
      ]),
    ).toBeUndefined();
    expect(
      machines([
        ["a", 0],
        ["b", 3],
        ["a", 5],
        ["b", 8],
      ]),
    ).toBeUndefined();
    expect(
      machines([
        ["a", 0],
        ["b", 3],
        ["a", 5],
        ["b", 8],
        ["a", 10],
      ]),
    ).toEqual(["a", "b"]);
  });

  test("two machines are detected with an interval of ten minutes too, and with a clock that is two minutes slow", () => {
    const slow = [
      ["a", 0],
      ["b", 300],
      ["a", 600],
      ["b", 900],
      ["a", 1200],
    ] as const;
    const use = slow.reduce<IdentityUse | undefined>(
      (before, [name, seconds]) =>
        noteRun(before, { run: runNamed(name), hostname: name, at: at(seconds), intervalMs: 600_000 }),
      undefined,
    );
    expect(identityConflictOf(use, { at: at(1200), intervalMs: 600_000 })?.machines).toHaveLength(2);
    const behind: [string, number][] = [];
    for (let seconds = 0; seconds < 150; seconds += 5) behind.push(["a", seconds], ["b", seconds + 3 - 120]);
    expect(machines(behind, 145)).toEqual(["b", "a"]);
  });

  test("restarts are one machine, even with late heartbeats from before them", () => {
    expect(
      machines([
        ["a", 0],
        ["b", 10],
        ["c", 20],
        ["d", 30],
        ["e", 40],
      ]),
    ).toBeUndefined();
    const spooled: [string, number][] = [];
    for (let i = 0; i < 20; i++) spooled.push(["b", 100 + i * 5], ["a", 10 + i]);
    expect(machines([["a", 0], ["b", 95], ...spooled])).toBeUndefined();
  });

  test("one restored snapshot is one machine; repeated restores look like two", () => {
    expect(
      machines([
        ["a", 0],
        ["a", 5],
        ["b", 10],
        ["b", 15],
        ["a", 20],
        ["a", 25],
        ["a", 30],
      ]),
    ).toBeUndefined();
    expect(
      machines([
        ["a", 0],
        ["b", 10],
        ["a", 20],
        ["c", 30],
        ["a", 40],
      ]),
    ).toEqual(["a", "c"]);
  });

  test("two distant returns are one machine, and so are two machines once one is silent", () => {
    expect(
      machines([
        ["a", 0],
        ["b", 3],
        ["a", 5],
        ["b", 8],
        ["a", 700],
      ]),
    ).toBeUndefined();
    const shared: [string, number][] = [
      ["a", 0],
      ["b", 3],
      ["a", 5],
      ["b", 8],
      ["a", 10],
    ];
    expect(machines(shared, 610)).toEqual(["a", "b"]);
    expect(machines(shared, 611)).toBeUndefined();
    // A heartbeat from an earlier time is not affected by later ones.
    expect(machines(shared, 4)).toBeUndefined();
  });

  test("remembering eight of five hundred copies is enough", () => {
    const beats: [string, number][] = [];
    for (let round = 0; round < 3; round++)
      for (let i = 0; i < 500; i++) beats.push([`h${i}`, round * 5 + i * 0.01]);
    const use = noted(beats);
    expect(use.runs).toHaveLength(RUNS_MAX);
    expect(machines(beats)).toHaveLength(RUNS_MAX);
  });

  test("a single run is stored once and then causes no write", () => {
    const use = noted([["a", 0]]);
    expect(noteRun(use, { run: runNamed("a"), hostname: "a", at: at(5), intervalMs: INTERVAL_MS })).toBe(use);
    // After many restarts, the newest run is not tracked until the oldest runs have expired.
    const restarted = noted(Array.from({ length: RUNS_MAX + 1 }, (_, i) => [`r${i}`, i]));
    const newest = { run: runNamed(`r${RUNS_MAX}`), hostname: "desk", intervalMs: INTERVAL_MS };
    expect(noteRun(restarted, { ...newest, at: at(100) })).toBe(restarted);
    expect(noteRun(restarted, { ...newest, at: at(605) }).runs.map(({ run }) => run)).toContain(newest.run);
  });

  test("a refused machine is stored at most once a minute, with its hostname", () => {
    const refused = (before: IdentityUse | undefined, seconds: number, hostname?: string) =>
      noteRefused(before, { hostname, at: at(seconds), intervalMs: INTERVAL_MS });
    const first = refused(undefined, 0, "vdi-2");
    expect(refused(first, 59)).toBe(first);
    const later = refused(first, 60);
    expect(later.refused).toEqual({ hostname: "vdi-2", firstAt: at(0), lastAt: at(60) });
    const scene = (seconds: number) =>
      identityConflictOf(later, { at: at(seconds), intervalMs: INTERVAL_MS });
    expect(scene(61)).toEqual({ machines: [], refused: { hostname: "vdi-2", since: at(0) } });
    expect(scene(-1)).toBeUndefined();
    expect(scene(660)).toBeDefined();
    expect(scene(661)).toBeUndefined();
    expect(refused(later, 2000).refused).toEqual({ firstAt: at(2000), lastAt: at(2000) });
  });
});

/** Test setup: machines that report with one identity to one table, through several workers. */
function createWorld({ workers = 1, quietPeriodSeconds = 60 } = {}) {
  const tenant = makeTenant({
    policy: policy.parse({
      approvedEngines: ["ollama"],
      approvedModels: ["llama3*"],
      disabledRules: ["baseline-novelty"],
    }),
    quietPeriodSeconds,
  });
  const table = createMemoryDynamo();
  const all = Array.from({ length: workers }, () => createWorkerDeps(table, tenant));
  let taken = 0;
  const next = () => all[taken++ % all.length]!;
  function machine(hostname: string, since: number, run: string | undefined = runNamed(hostname)) {
    let sequence = 1000;
    return async (seconds: number) => {
      const agent = { version: "0.1.0", catalogue: "x", intervalMs: INTERVAL_MS, ...(run && { run }) };
      const beat = makeHeartbeat(sequence++, START_MS + seconds * 1000, hostname, {
        agent,
        engines: [makeEngine()],
        stateSince: at(since),
      });
      await recordHeartbeat(deliver(beat), tenant, next());
    };
  }
  const incident = (rule = "identity-cloned"): IncidentItem | undefined => {
    const { PK, SK } = incidentKey(TENANT, { assetId: ASSET, rule, engine: "host" }, tenant.shards);
    const stored = table.items.get(`${PK} | ${SK}`);
    return stored && decodeItem(incidentItem, stored);
  };
  const presence = () => {
    const { PK, SK } = presenceKey(TENANT, ASSET);
    return decodeItem(presenceItem, table.items.get(`${PK} | ${SK}`)!);
  };
  const sighting = (seconds: number, hostname?: string) =>
    recordSighting(
      { tenantId: TENANT, assetId: ASSET, receivedAt: at(seconds) },
      { v: 1, copied: hostname === undefined ? {} : { hostname } },
      tenant,
      next(),
    );
  return { table, tenant, machine, incident, presence, sighting };
}

describe.each([1, 3])("with %p worker(s)", (workers) => {
  test("two machines with one identity open an incident within minutes, which resolves when one is left", async () => {
    const { machine, incident } = createWorld({ workers });
    const [a, b] = [machine("vdi-0001", 0), machine("vdi-0002", 3)];
    let opened: number | undefined;
    for (let seconds = 0; seconds < 240; seconds += 5) {
      await a(seconds);
      await b(seconds + 3);
      if (incident() && opened === undefined) opened = seconds;
    }
    expect(opened).toBeLessThanOrEqual(workers === 1 ? 10 : 180);
    expect(incident()).toMatchObject({ status: "OPEN", risk: "CRITICAL" });
    expect(incident()!.explanation).toBe(
      "2 machines alternately report with this identity: vdi-0001 (since 2026-11-20 08:00 UTC), vdi-0002 (since 2026-11-20 08:00 UTC).",
    );
    for (let seconds = 240; seconds < 1500; seconds += 5) await a(seconds);
    expect(incident()!.status).toBe("RESOLVED");
  });
});

test("a restart opens no incident, and one machine causes no additional writes", async () => {
  const { machine, incident, table } = createWorld();
  const before = machine("desk", 0, runNamed("first"));
  for (let seconds = 0; seconds < 600; seconds += 5) await before(seconds);
  const after = machine("desk", 600, runNamed("second"));
  for (let seconds = 600; seconds < 1200; seconds += 5) await after(seconds);
  expect(incident()).toBeUndefined();
  const plain = createWorld();
  const old = plain.machine("desk", 0, "");
  for (let seconds = 0; seconds < 600; seconds += 5) await old(seconds);
  const oldAfter = plain.machine("desk", 600, "");
  for (let seconds = 600; seconds < 1200; seconds += 5) await oldAfter(seconds);
  expect(table.items.size).toBe(plain.table.items.size);
  expect(plain.presence().identity).toBeUndefined();
});

test("a session refused to another machine opens an incident with the next heartbeat, which resolves later", async () => {
  const { machine, incident, sighting } = createWorld();
  const a = machine("golden", 0);
  await a(0);
  await sighting(2, "vdi-2");
  await a(65);
  expect(incident()).toMatchObject({ status: "OPEN", risk: "CRITICAL" });
  expect(incident()!.explanation).toBe(
    "vdi-2 has a copy of this identity on another mainboard. Its sessions have been refused since 2026-11-20 08:00 UTC.",
  );
  for (let seconds = 70; seconds < 1500; seconds += 5) await a(seconds);
  expect(incident()!.status).toBe("RESOLVED");
});

test("a sighting of an asset that never reported is not stored", async () => {
  const { sighting, table } = createWorld();
  await sighting(0, "vdi-2");
  expect(table.items.size).toBe(0);
});

describe("a machine that was enrolled as an isolated host before", () => {
  const OLD = "01K00000000000000000000001";
  const asset = (assetId: string, more: Partial<AssetItem>): Record<string, unknown> => ({
    ...assetKey(TENANT, assetId),
    type: "Asset",
    tenantId: TENANT,
    assetId,
    employeeId: "dana",
    hostname: "old-name",
    os: "Linux",
    arch: "x64",
    deviceKey: "k".repeat(43),
    enrolledAt: at(0),
    status: "ACTIVE",
    generation: 0,
    custodyCount: 0,
    ...more,
  });

  test.each([
    ["isolated", { status: "ISOLATED" as const, generation: 1 }, [OLD], true],
    ["free", {}, [OLD], false],
    ["isolated, of another mainboard", { status: "ISOLATED" as const, generation: 1 }, undefined, false],
  ])("%s: %#", async (_, old, enrolledBefore, isTold) => {
    const { machine, incident, table } = createWorld();
    for (const item of [asset(OLD, old), asset(ASSET, enrolledBefore ? { enrolledBefore } : {})])
      await table.dynamo("PutItem", { TableName: "memory", Item: marshalItem(item) });
    const a = machine("new-name", 0);
    await a(0);
    await a(90);
    expect(incident("isolated-host-reenrolled")?.status).toBe(isTold ? "OPEN" : undefined!);
    if (isTold)
      expect(incident("isolated-host-reenrolled")!.explanation).toBe(
        `This machine was previously enrolled as old-name (${OLD}), and that asset was isolated when it enrolled again.`,
      );
    // The incident stays open after a change of the state.
    await machine("new-name-2", 95)(95);
    expect(incident("isolated-host-reenrolled")?.status).toBe(isTold ? "OPEN" : undefined!);
  });
});
