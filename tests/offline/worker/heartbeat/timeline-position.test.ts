import { expect, test } from "bun:test";
import fc from "fast-check";
import { makeEngine, makeHeartbeat } from "../../../../lz/platform/simulated-agents.ts";
import { policy } from "../../../../shared/table/items/policy.ts";
import { timestamp } from "../../../../shared/time/clock.ts";
import { policyKeyOf } from "../../../../worker/heartbeat/state-hash.ts";
import { intervalStart, phaseOf, sampleAt } from "../../../../worker/heartbeat/timeline-position.ts";
import { recordHeartbeat } from "../../../../worker/record/record-heartbeat.ts";
import { createMemoryDynamo } from "../../../support/dynamo/memory-dynamo.ts";
import { contents, createWorkerDeps, deliver, makeTenant } from "../../../support/dynamo/worker-table.ts";

const START_MS = Date.parse("2026-11-20T23:55:00.000Z");
const ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const assetId = fc
  .array(fc.constantFrom(...ALPHABET), { minLength: 25, maxLength: 25 })
  .map((rest) => `0${rest.join("")}`);
const resolution = fc.constantFrom(1, 7, 60, 61, 3600);

test("intervalStart() partitions time into intervals of the resolution, for any asset", () => {
  fc.assert(
    fc.property(assetId, resolution, fc.integer({ min: 0, max: 10 ** 8 }), (id, seconds, ms) => {
      const at = START_MS + ms;
      const start = Date.parse(intervalStart(timestamp(at), phaseOf(id), seconds));
      expect(at - start).toBeWithin(0, seconds * 1000);
      const of = (time: number) => Date.parse(intervalStart(timestamp(time), phaseOf(id), seconds));
      expect([of(start), of(start + seconds * 1000 - 1)]).toEqual([start, start]);
      expect(of(start + seconds * 1000) - start).toBe(seconds * 1000);
      expect(of(start - 1)).toBe(start - seconds * 1000);
    }),
  );
});

test("sampleAt() spaces the samples of an asset exactly by the resolution, for any heartbeat interval", () => {
  const gaps = fc.array(fc.integer({ min: 1, max: 90_000 }), { minLength: 2, maxLength: 60 });
  fc.assert(
    fc.property(assetId, resolution, gaps, (id, seconds, between) => {
      const tenant = makeTenant({ telemetryResolutionSeconds: seconds });
      const stateSince = timestamp(START_MS);
      const seen = new Set<number>();
      let nowMs = START_MS;
      for (const [sequence, gap] of between.entries()) {
        nowMs += gap;
        const at = timestamp(nowMs);
        const sample = sampleAt({ at, receivedAt: at, stateSince, sequence, assetId: id }, tenant);
        if (sample !== undefined) seen.add(Date.parse(sample));
      }
      const times = [...seen].sort((a, b) => a - b);
      for (const [index, time] of times.entries())
        if (index > 0) expect((time - times[index - 1]!) % (seconds * 1000)).toBe(0);
    }),
  );
});

test("sampleAt() with resolution 0 returns a sample for every heartbeat, at its own time", () => {
  const tenant = makeTenant({ telemetryResolutionSeconds: 0 });
  const at = timestamp(START_MS + 5000);
  const moment = {
    at,
    receivedAt: at,
    stateSince: timestamp(START_MS),
    sequence: 2,
    assetId: `01K${"0".repeat(23)}`,
  };
  expect(sampleAt(moment, tenant)).toBe(at);
});

test("phaseOf() spreads a fleet over the interval: each second has between half and twice its share", () => {
  const FLEET = 30_000;
  const perSecond = new Array<number>(60).fill(0);
  for (let i = 0; i < FLEET; i++) {
    const id = `01M807NRG7${String(i).padStart(16, "0")}`;
    perSecond[Math.floor(phaseOf(id) * 60)]!++;
  }
  expect(Math.max(...perSecond)).toBeLessThan((2 * FLEET) / 60);
  expect(Math.min(...perSecond)).toBeGreaterThan(FLEET / 60 / 2);
});

test("recordHeartbeat() writes one sample per resolution interval for an unchanged asset", async () => {
  const table = createMemoryDynamo();
  const tenant = makeTenant();
  const worker = createWorkerDeps(table, tenant);
  const stateSince = timestamp(START_MS);
  for (let beat = 0; beat < 130; beat++) {
    const nowMs = START_MS + beat * 5000;
    await recordHeartbeat(deliver(makeHeartbeat(beat + 1, nowMs, "host-1", { stateSince })), tenant, worker);
  }
  const samples = [...table.items.values()].filter(({ kind }) => kind?.S === "sample");
  const times = samples.map(({ at }) => Date.parse(at!.S!)).sort((a, b) => a - b);
  expect(times.length).toBeWithin(9, 12);
  expect(new Set(times.slice(1).map((time, index) => time - times[index]!))).toEqual(new Set([60_000]));
});

test("recordHeartbeat() needs one shared read, one write of the state and one transaction for a new asset", async () => {
  const table = createMemoryDynamo();
  const tenant = makeTenant();
  const worker = createWorkerDeps(table, tenant);
  const engines = [makeEngine({ bind: ["0.0.0.0"] })]; // an exposed engine has findings, so there are incidents
  const beat = (host: string) =>
    makeHeartbeat(1, START_MS, host, { engines, stateSince: timestamp(START_MS) });
  await recordHeartbeat(deliver(beat("host-0"), `01K${"0".repeat(22)}1`), tenant, worker);
  table.calls.clear();
  await Promise.all(
    Array.from({ length: 50 }, (_, i) =>
      recordHeartbeat(deliver(beat(`host-${i}`), `01K${String(i + 10).padStart(23, "0")}`), tenant, worker),
    ),
  );
  expect(Object.fromEntries(table.calls)).toEqual({ BatchGetItem: 1, PutItem: 50, TransactWriteItems: 50 });
});

test("recordHeartbeat() completes a state that a crash left without presence, with the same table as without the crash", async () => {
  const tenant = makeTenant();
  const beat = makeHeartbeat(1, START_MS, "host-1", { engines: [makeEngine({ bind: ["0.0.0.0"] })] });
  const table = createMemoryDynamo();
  await recordHeartbeat(deliver(beat), tenant, createWorkerDeps(table, tenant));
  const whole = contents(table);
  const incidents = [...table.items.keys()].filter((key) => key.includes("INCIDENT#"));
  expect(incidents.length).toBeGreaterThan(0);
  const presence = [...table.items.keys()].find((key) => key.includes("PRESENCE#"))!;
  (table.items as Map<string, unknown>).delete(presence);
  await recordHeartbeat(deliver(beat), tenant, createWorkerDeps(table, tenant));
  expect(contents(table)).toEqual(whole);
});

test("policyKeyOf() depends on the content of a policy, not on the order of its members", () => {
  const keyOf = (engineVersionsMin: Record<string, string>) =>
    policyKeyOf(makeTenant({ policy: policy.parse({ engineVersionsMin }) }));
  expect(keyOf({ ollama: "0.17.1", vllm: "0.11.1" })).toBe(keyOf({ vllm: "0.11.1", ollama: "0.17.1" }));
  expect(keyOf({ ollama: "0.17.1" })).not.toBe(keyOf({ ollama: "0.17.2" }));
});
