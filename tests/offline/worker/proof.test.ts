import { describe, expect, test } from "bun:test";
import { makeHeartbeat } from "../../../lz/fleet.ts";
import { timestamp } from "../../../shared/clock.ts";
import { containmentOf } from "../../../shared/containment.ts";
import { marshalItem } from "../../../shared/table/dynamo.ts";
import { type AssetItem, assetItem } from "../../../shared/table/items/asset.ts";
import { decodeItem } from "../../../shared/table/items/decode.ts";
import { actionRequired, assetKey } from "../../../shared/table/keys.ts";
import type { ContainmentReport } from "../../../shared/wire/heartbeat.ts";
import { record } from "../../../worker/record.ts";
import { createMemoryDynamo } from "../../support/memory-dynamo.ts";
import { ASSET, createWorkerDeps, deliver, makeTenant, TENANT } from "../../support/worker-table.ts";

const START_MS = Date.parse("2026-11-22T11:00:00.000Z");
const minute = (n: number): number => START_MS + n * 60_000;
const at = (n: number): string => timestamp(minute(n));
const CODE = "01K00000000000000000000CDE";

const report = (generation: number, minutes: number, more: Partial<ContainmentReport> = {}) =>
  ({
    generation,
    action: generation % 2 === 1 ? "isolate" : "release",
    mode: "network",
    outcome: "applied",
    at: at(minutes),
    ...more,
  }) as ContainmentReport;
const byCode = (generation: number, minutes: number) =>
  report(generation, minutes, { action: "release", reason: `released at the host with code ${CODE}` });

/** One asset, what an admin wishes of it, and a worker that is told of it. */
async function makeWorld(generation: number, more: Partial<AssetItem> = {}) {
  const table = createMemoryDynamo();
  const tenant = makeTenant();
  const worker = createWorkerDeps(table, tenant);
  const Key = assetKey(TENANT, ASSET);
  const asset: AssetItem = {
    type: "Asset",
    tenantId: TENANT,
    assetId: ASSET,
    employeeId: "dana",
    hostname: "host-1",
    os: "linux",
    arch: "x64",
    deviceKey: "A".repeat(43),
    enrolledAt: at(-60),
    status: generation % 2 === 1 ? "ISOLATED" : "ACTIVE",
    generation,
    wish: {
      generation,
      action: generation % 2 === 1 ? "isolate" : "release",
      mode: "network",
      requestedAt: at(-30),
      expiresAt: at(60 * 24),
      directive: "d",
    },
    custodyCount: generation,
    ...more,
  };
  const index = { GSI2PK: actionRequired(TENANT), GSI2SK: `${at(-30)}#${ASSET}` };
  await table.dynamo("PutItem", { TableName: "t", Item: marshalItem({ ...Key, ...index, ...asset }) });
  let sequence = 0;
  const tell = (minutes: number, containment: ContainmentReport) =>
    record(
      deliver(makeHeartbeat(++sequence, minute(minutes), "host-1", { stateSince: at(minutes), containment })),
      tenant,
      worker,
    );
  const stored = () => table.items.get(`${Key.PK} | ${Key.SK}`)!;
  return {
    tell,
    read: () => decodeItem(assetItem, stored()),
    isOpen: () => stored().GSI2PK !== undefined,
  };
}

describe("a host that a code freed before an admin released it", () => {
  test("is marked by its late report, and stays in the index of open actions although the release is proven", async () => {
    const world = await makeWorld(2);
    await world.tell(1, byCode(1, 0));
    expect(world.read().freedByCode).toEqual(byCode(1, 0));
    await world.tell(2, report(2, 2));
    expect(world.read().proof).toEqual(report(2, 2));
    expect(world.isOpen()).toBe(true);
  });

  test("is marked also when its report comes after the proof of the release: then it is in the index again", async () => {
    const world = await makeWorld(2);
    await world.tell(2, report(2, 2));
    expect(world.isOpen()).toBe(false);
    await world.tell(1, byCode(1, 0));
    expect(world.read().freedByCode).toEqual(byCode(1, 0));
    expect(world.isOpen()).toBe(true);
  });

  test("is marked with its present generation too: an admin may be faster than who writes the record", async () => {
    const world = await makeWorld(1);
    await world.tell(1, byCode(1, 0));
    expect(world.read()).toMatchObject({ proof: byCode(1, 0), freedByCode: byCode(1, 0) });
  });

  test("is not marked when its record is in the log, nor by a release that an admin wished, nor by one that failed", async () => {
    for (const [told, recorded] of [
      [byCode(1, 0), 1],
      [report(1, 0, { action: "release" }), 0],
      [{ ...byCode(1, 0), outcome: "failed" as const }, 0],
      [{ ...byCode(1, 0), action: "isolate" as const }, 0],
    ] as const) {
      const world = await makeWorld(2, { offlineReleaseOf: recorded });
      await world.tell(1, told);
      await world.tell(2, report(2, 2));
      expect(world.read().freedByCode).toBeUndefined();
      expect(world.isOpen()).toBe(false);
    }
  });
});

describe("a host put back to a snapshot of its isolation after the release was proven", () => {
  test("gets its action back, is not shown as free, and is free when it has released again", async () => {
    const world = await makeWorld(2);
    await world.tell(2, report(2, 2));
    expect(world.isOpen()).toBe(false);
    await world.tell(20, report(1, 0));
    expect(world.isOpen()).toBe(true);
    expect(world.read()).toMatchObject({
      proof: report(2, 2),
      setBack: { generation: 1, since: 2, at: at(20) },
    });
    expect(containmentOf(world.read(), undefined, minute(20)).state).toBe("releasing");
    await world.tell(21, report(2, 21));
    expect(world.read().setBack?.since).toBe(0);
    expect(containmentOf(world.read(), undefined, minute(21)).state).toBe("active");
    expect(world.isOpen()).toBe(false);
    // The same heartbeat, delivered once more, is no second step back.
    await world.tell(20, report(1, 0));
    expect(world.isOpen()).toBe(false);
  });

  test("has an open action too when it took the release from somewhere before a worker heard of it", async () => {
    const world = await makeWorld(2);
    await world.tell(2, report(2, 2));
    await world.tell(20, report(2, 20, { outcome: "none" }));
    expect(world.isOpen()).toBe(true);
    await world.tell(21, report(2, 21));
    expect(world.isOpen()).toBe(false);
  });

  test("what it said before the release and is heard late opens nothing", async () => {
    const world = await makeWorld(2);
    await world.tell(2, report(2, 2));
    await world.tell(1, report(1, 0));
    expect(world.read().setBack).toBeUndefined();
    expect(world.isOpen()).toBe(false);
  });
});
