import { describe, expect, test } from "bun:test";
import { makeDevice, makeHeartbeat } from "../../../../lz/platform/simulated-agents.ts";
import { containmentOf, nextGeneration } from "../../../../shared/containment/containment-state.ts";
import { type AttributeMap, type Dynamo, marshalItem } from "../../../../shared/table/dynamo.ts";
import { type AssetItem, assetItem } from "../../../../shared/table/items/asset/asset.ts";
import { decodeItem } from "../../../../shared/table/items/decode.ts";
import { eventItem } from "../../../../shared/table/items/event.ts";
import { actionRequired, assetKey } from "../../../../shared/table/keys.ts";
import { timestamp } from "../../../../shared/time/clock.ts";
import type { ContainmentReport } from "../../../../shared/wire/heartbeat.ts";
import { isSignedReport } from "../../../../shared/wire/report-signature.ts";
import { recordHeartbeat } from "../../../../worker/record/record-heartbeat.ts";
import { createMemoryDynamo } from "../../../support/dynamo/memory-dynamo.ts";
import {
  ASSET,
  createWorkerDeps,
  deliver,
  makeTenant,
  TENANT,
} from "../../../support/dynamo/worker-table.ts";

const START_MS = Date.parse("2026-11-22T11:00:00.000Z");
const minute = (n: number): number => START_MS + n * 60_000;
const at = (n: number): string => timestamp(minute(n));
/** The device key of another host. */
const other = await makeDevice();
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

/** Test setup: one asset, the request of an administrator, and a worker that receives the asset's heartbeats. */
async function makeWorld(generation: number, more: Partial<AssetItem> = {}) {
  const table = createMemoryDynamo();
  const tenant = makeTenant();
  const device = await makeDevice();
  const logged: string[] = [];
  const Key = assetKey(TENANT, ASSET);
  /** Runs once, right after the next read of the asset. */
  let interference: (() => Promise<void>) | undefined;
  /** Error that the next write to the asset throws, once. */
  let failure: Error | undefined;
  const asked: string[] = [];
  const dynamo = (async (operation: "GetItem", input: { TableName: string; Key: AttributeMap }) => {
    asked.push(JSON.stringify({ operation, input }));
    const isWrite = ["UpdateItem", "TransactWriteItems"].includes(operation);
    const isHere = JSON.stringify(input).includes("deviceKey");
    if (failure && isWrite && isHere) {
      const fault = failure;
      failure = undefined;
      throw fault;
    }
    const answer = await table.dynamo(operation, input);
    const isOfAsset = operation === "GetItem" && input.Key?.SK?.S === Key.SK;
    if (!isOfAsset || interference === undefined) return answer;
    const act = interference;
    interference = undefined;
    await act();
    return answer;
  }) as Dynamo;
  const worker = createWorkerDeps({ ...table, dynamo }, tenant, {
    log: (level, event, fields) => void logged.push(JSON.stringify({ level, event, ...fields })),
  });
  const asset: AssetItem = {
    type: "Asset",
    tenantId: TENANT,
    assetId: ASSET,
    employeeId: "dana",
    hostname: "host-1",
    os: "linux",
    arch: "x64",
    deviceKey: device.x,
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
  const sign = (claimed: ContainmentReport) => device.sign({ tenantId: TENANT, assetId: ASSET }, claimed);
  /** Records a heartbeat as any owner of a session key could create it. */
  const tellAsIs = (minutes: number, containment: ContainmentReport, since = minutes) =>
    recordHeartbeat(
      deliver(makeHeartbeat(++sequence, minute(minutes), "host-1", { stateSince: at(since), containment })),
      tenant,
      worker,
    );
  const tell = async (minutes: number, claimed: ContainmentReport, since = minutes) =>
    tellAsIs(minutes, await sign(claimed), since);
  const stored = () => table.items.get(`${Key.PK} | ${Key.SK}`)!;
  return {
    device,
    logged,
    metrics: worker.metrics,
    sign,
    tell,
    tellAsIs,
    /** The report as stored after its verification. */
    kept: async (claimed: ContainmentReport) => ({ ...(await sign(claimed)), signedBy: device.x }),
    interfere: (act: () => Promise<void>) => {
      interference = act;
    },
    change: async (more: Partial<AssetItem>) => {
      const item = { ...stored(), ...marshalItem(more) };
      await table.dynamo("PutItem", { TableName: "t", Item: item });
    },
    failNext: (fault: Error) => {
      failure = fault;
    },
    asked,
    events: () =>
      [...table.items.values()]
        .filter((item) => item.type?.S === "Event" && item.kind?.S?.startsWith("isolation."))
        .map((item) => ({ kind: item.kind?.S, reason: item.data?.M?.reason?.S })),
    reported: () =>
      [...table.items.values()]
        .filter((item) => item.type?.S === "Event" && item.report)
        .map((item) => decodeItem(eventItem, item).report),
    read: () => decodeItem(assetItem, stored()),
    isOpen: () => stored().GSI2PK !== undefined,
  };
}

describe("a host that was released by code before an administrator released it", () => {
  test("is marked by its late report, and stays in the index of open actions after the proof of the release", async () => {
    const world = await makeWorld(2);
    await world.tell(1, byCode(1, 0));
    expect(world.read().freedByCode).toEqual(await world.kept(byCode(1, 0)));
    await world.tell(2, report(2, 2));
    expect(world.read().proof).toEqual(await world.kept(report(2, 2)));
    expect(world.isOpen()).toBe(true);
  });

  test("is marked and added to the index again if its report arrives after the proof of the release", async () => {
    const world = await makeWorld(2);
    await world.tell(2, report(2, 2));
    expect(world.isOpen()).toBe(false);
    await world.tell(1, byCode(1, 0));
    expect(world.read().freedByCode).toEqual(await world.kept(byCode(1, 0)));
    expect(world.isOpen()).toBe(true);
  });

  test("is marked for its current generation too, because a node may write the custody record later", async () => {
    const world = await makeWorld(1);
    await world.tell(1, byCode(1, 0));
    expect(world.read()).toMatchObject({ proof: byCode(1, 0), freedByCode: byCode(1, 0) });
    expect(world.read().proof).toEqual(await world.kept(byCode(1, 0)));
  });

  test("is not marked if the custody log has the release, for a requested release, or for a failed one", async () => {
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

describe("a host restored to a snapshot of its isolation after the release was proven", () => {
  test("gets its action reopened, is not shown as released, and is released after a new proof", async () => {
    const world = await makeWorld(2);
    await world.tell(2, report(2, 2));
    expect(world.isOpen()).toBe(false);
    await world.tell(20, report(1, 20));
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
    // A duplicate of the heartbeat does not count as a second restore.
    await world.tell(20, report(1, 20));
    expect(world.isOpen()).toBe(false);
  });

  test("has an open action too if it obeyed the release again before a worker recorded it", async () => {
    const world = await makeWorld(2);
    await world.tell(2, report(2, 2));
    await world.tell(20, report(2, 20, { outcome: "none" }));
    expect(world.isOpen()).toBe(true);
    await world.tell(21, report(2, 21));
    expect(world.isOpen()).toBe(false);
  });

  test("reopens nothing with a proof from before the release, late or repeated", async () => {
    const world = await makeWorld(2);
    await world.tell(2, report(2, 2));
    await world.tell(1, report(1, 0));
    await world.tell(20, report(1, 0));
    expect(world.read().setBack).toBeUndefined();
    expect(world.isOpen()).toBe(false);
  });
});

describe("a stored report that the device did not sign", () => {
  const forged = (more: Partial<ContainmentReport> = {}) => ({
    ...report(1, 500, more),
    ...{ signature: "A".repeat(86), signedBy: other.x },
  });

  test("is replaced by the signed proof, regardless of its time", async () => {
    const world = await makeWorld(1);
    await world.change({ proof: forged() });
    await world.tell(5, report(1, 5));
    expect(world.read().proof).toEqual(await world.kept(report(1, 5)));
    expect(world.events()).toEqual([{ kind: "isolation.proven", reason: undefined }]);
  });

  test("of a release neither marks the host as restored nor ends its action", async () => {
    const world = await makeWorld(2);
    await world.change({ proof: { ...forged(), generation: 2, action: "release", at: at(1) } });
    await world.tell(20, report(1, 20));
    expect(world.read().setBack).toBeUndefined();
    expect(world.isOpen()).toBe(true);
  });

  test("of a release by code is replaced by a signed one, and keeps no action open", async () => {
    const world = await makeWorld(2);
    const reason = `released at the host with code ${CODE}`;
    await world.change({ freedByCode: { ...forged({ action: "release", reason }), generation: 2 } });
    await world.tell(5, byCode(1, 5));
    expect(world.read().freedByCode).toEqual(await world.kept(byCode(1, 5)));
    const other = await makeWorld(2);
    await other.change({ freedByCode: { ...forged({ action: "release", reason }), generation: 1 } });
    await other.tell(5, report(2, 5));
    expect(other.isOpen()).toBe(false);
  });
});

describe("a recorded proof", () => {
  test("is an event with the signed report of the device", async () => {
    const world = await makeWorld(1);
    await world.tell(5, report(1, 5));
    expect(world.reported()).toEqual([await world.kept(report(1, 5))]);
  });

  const probes = { controlPlaneReachable: true, forbiddenBlocked: true };

  test("is one event for each new result", async () => {
    const world = await makeWorld(1);
    const open = { ...probes, forbiddenBlocked: false };
    await world.tell(1, report(1, 1, { outcome: "none" }));
    expect(world.events()).toEqual([]);
    await world.tell(2, report(1, 2, { probes }));
    await world.tell(3, report(1, 3, { probes }));
    expect(world.events()).toEqual([{ kind: "isolation.proven", reason: undefined }]);
    await world.tell(4, report(1, 4, { probes: open }));
    await world.tell(5, report(1, 5, { probes: open, reason: "altered" }));
    await world.tell(6, report(1, 6, { probes: open, reason: "altered", outcome: "failed" }));
    const kinds = world.events().map(({ kind, reason }) => `${kind} ${reason ?? ""}`.trim());
    expect(kinds.sort()).toEqual(
      ["isolation.failed altered", "isolation.proven", "isolation.proven", "isolation.proven altered"].sort(),
    );
    const free = await makeWorld(2);
    await free.tell(1, report(2, 1));
    expect(free.events().map(({ kind }) => kind)).toEqual(["isolation.released"]);
  });

  test("is not recorded if the write fails: the message is delivered again", async () => {
    for (const [generation, told] of [
      [1, report(1, 5, { probes })],
      [2, byCode(1, 5)],
      [2, report(7, 5)],
    ] as const) {
      const world = await makeWorld(generation);
      world.failNext(new TypeError("connection reset"));
      await expect(world.tell(5, told)).rejects.toThrow("connection reset");
    }
    const back = await makeWorld(2);
    await back.tell(2, report(2, 2));
    back.failNext(new TypeError("connection reset"));
    await expect(back.tell(20, report(1, 20))).rejects.toThrow("connection reset");
    const unsigned = await makeWorld(1);
    unsigned.failNext(new TypeError("connection reset"));
    await expect(unsigned.tellAsIs(5, report(1, 5))).rejects.toThrow("connection reset");
  });

  test("is based on a fresh read, and a refused report is logged with its host and reason", async () => {
    const world = await makeWorld(1);
    await world.tellAsIs(5, report(1, 5));
    const reads = world.asked.filter((one) => one.includes('"GetItem"') && one.includes(`ASSET#${ASSET}`));
    expect(reads.every((one) => one.includes('"ConsistentRead":true'))).toBe(true);
    expect(JSON.parse(world.logged[0]!)).toEqual({
      ...{ level: "warn", event: "containment.unsigned", tenantId: TENANT, assetId: ASSET, reported: 1 },
      reason: "the report has no signature",
    });
    const back = await makeWorld(2);
    await back.tell(2, report(2, 2));
    await back.tell(20, report(1, 20));
    expect(JSON.parse(back.logged[0]!)).toMatchObject({
      level: "warn",
      event: "containment.set-back",
      reported: 1,
    });
  });
});

describe("a table restored from a backup that is older than the last directive obeyed", () => {
  const probes = { controlPlaneReachable: true, forbiddenBlocked: true };

  test("learns the host's generation from a signed report, which is not a proof", async () => {
    const world = await makeWorld(2);
    await world.tell(2, report(2, 2));
    const before = world.read();
    await world.tell(20, report(7, 20, { probes }));
    expect(world.read()).toEqual({ ...before, heardGeneration: 7 });
    expect(nextGeneration(world.read())).toBe(8);
    expect(world.logged).toEqual([expect.stringContaining('"event":"containment.ahead"')]);
    // A report with an older generation that is received late changes nothing. A report with a newer
    // generation counts.
    await world.tell(21, report(5, 19, { probes }));
    expect(world.read().heardGeneration).toBe(7);
    await world.tell(22, report(9, 22, { probes }));
    expect([world.read().heardGeneration, world.logged.length]).toEqual([9, 2]);
  });

  test("learns nothing from an unsigned report or an implausible generation", async () => {
    const world = await makeWorld(2);
    const here = { tenantId: TENANT, assetId: ASSET };
    await world.tellAsIs(20, report(7, 20));
    await world.tellAsIs(21, await other.sign(here, report(7, 21)));
    await world.tell(22, report(2_000_001, 22));
    expect(world.read()).not.toHaveProperty("heardGeneration");
    expect(world.read()).not.toHaveProperty("unsignedReport");
    expect(world.metrics.read().reports_unsigned_total).toBe(2);
  });

  test("learns nothing if the device key or the request changed after the read", async () => {
    for (const changed of [{ deviceKey: other.x }, { generation: 7 }]) {
      const world = await makeWorld(2);
      world.interfere(async () => world.change(changed));
      await world.tell(20, report(7, 20));
      expect(world.read()).not.toHaveProperty("heardGeneration");
      expect(world.logged).toEqual([]);
    }
  });

  test("accepts a report with the generation of a later request", async () => {
    const world = await makeWorld(2);
    const early = report(7, 20, { probes });
    await world.tell(20, early);
    const wish = { ...world.read().wish!, generation: 7, action: "isolate" as const };
    await world.change({ status: "ISOLATED", generation: 7, wish });
    expect(containmentOf(world.read(), undefined, minute(20)).state).toBe("pending");
    // The state of the host no longer changes, and every heartbeat reports the isolation.
    for (const minutes of [20.1, 20.2]) await world.tell(minutes, early, 20);
    await world.tell(22, early, 20);
    expect(world.read().proof).toEqual(await world.kept(early));
    expect(containmentOf(world.read(), undefined, minute(22)).state).toBe("enforced");
  });
});

describe("recordProof() accepts a report only with a signature of the asset's device key", () => {
  const probes = { controlPlaneReachable: true, forbiddenBlocked: true };
  const shut = (more: Partial<ContainmentReport> = {}) => report(1, 1, { probes, ...more });
  const UNSIGNED = "the report is not signed by the device key of this host";
  const unsigned = ({ metrics }: { metrics: { read(): Record<string, number> } }) =>
    metrics.read().reports_unsigned_total;

  test("a signed report is the proof, stored so that it can be verified again", async () => {
    const world = await makeWorld(1);
    await world.tell(1, shut());
    const { proof } = world.read();
    expect(proof).toEqual(await world.kept(shut()));
    expect(await isSignedReport(proof!.signedBy!, { tenantId: TENANT, assetId: ASSET }, proof!)).toBe(true);
    expect(containmentOf(world.read(), undefined, minute(1)).state).toBe("enforced");
    expect([unsigned(world), world.logged]).toEqual([0, []]);
  });

  const HERE = { tenantId: TENANT, assetId: ASSET };
  type World = Awaited<ReturnType<typeof makeWorld>>;
  const forgeries: [string, (world: World) => Promise<ContainmentReport>][] = [
    ["without a signature", async () => shut()],
    ["signed by another device", async () => other.sign(HERE, shut())],
    ["signed for another tenant", ({ device }) => device.sign({ ...HERE, tenantId: "org_other" }, shut())],
    [
      "signed for another asset",
      ({ device }) => device.sign({ ...HERE, assetId: `${ASSET.slice(1)}1` }, shut()),
    ],
    [
      "with the signature of another report",
      async ({ sign }) => ({ ...shut(), signature: (await sign(shut({ at: at(2) }))).signature! }),
    ],
    [
      "with another generation",
      async ({ sign }) => ({ ...(await sign(shut({ generation: 2 }))), generation: 1 }),
    ],
    ["with another action", async ({ sign }) => ({ ...(await sign(shut())), action: "release" })],
    ["with another mode", async ({ sign }) => ({ ...(await sign(shut())), mode: "observe" })],
    [
      "with another way to stop engines",
      async ({ sign }) => ({ ...(await sign(shut())), stopEnginesBy: "terminate" }),
    ],
    [
      "with another outcome",
      async ({ sign }) => ({ ...(await sign(shut({ outcome: "failed" }))), outcome: "applied" }),
    ],
    ["with another time", async ({ sign }) => ({ ...(await sign(shut())), at: at(2) })],
    ["with a reason more", async ({ sign }) => ({ ...(await sign(shut())), reason: "it is so" })],
    ["without its probes", async ({ sign }) => ({ ...(await sign(shut())), probes: undefined })],
    [
      "with another probe",
      async ({ sign }) => ({
        ...(await sign(shut({ probes: { ...probes, forbiddenBlocked: false } }))),
        probes,
      }),
    ],
  ];
  test.each(forgeries)(
    "a report %s changes no proof; it is shown, counted and logged",
    async (_what, forge) => {
      const world = await makeWorld(1);
      await world.tellAsIs(1, await forge(world));
      expect(world.read().proof).toBeUndefined();
      expect(containmentOf(world.read(), undefined, minute(1))).toMatchObject({
        state: "pending",
        reason: UNSIGNED,
      });
      expect(unsigned(world)).toBe(1);
      expect(world.logged).toEqual([expect.stringContaining("containment.unsigned")]);
      expect(world.logged[0]).not.toMatch(/[A-Za-z0-9_-]{43}/);
      // The rest of the heartbeat is recorded, and a later signed report counts.
      const again = shut({ at: at(3) });
      await world.tell(3, again);
      expect(world.read().proof).toEqual(await world.kept(again));
      expect(world.read().unsignedReport).toBeUndefined();
      expect(containmentOf(world.read(), undefined, minute(3))).toEqual({ state: "enforced", offline: true });
    },
  );

  test("a forged release neither ends the action nor counts as a release by code or a restore", async () => {
    for (const [generation, forged] of [
      [2, report(2, 5)],
      [1, byCode(1, 5)],
      [2, byCode(1, 5)],
    ] as const) {
      const world = await makeWorld(generation);
      await world.tellAsIs(5, forged);
      await world.tellAsIs(6, await other.sign(HERE, forged));
      expect(world.read()).not.toHaveProperty("proof");
      expect(world.read()).not.toHaveProperty("freedByCode");
      expect([world.isOpen(), unsigned(world)]).toEqual([true, 2]);
    }
    const free = await makeWorld(2);
    await free.tell(2, report(2, 2));
    await free.tellAsIs(20, { ...(await free.sign(report(1, 0))), at: at(20) });
    expect(free.read().setBack).toBeUndefined();
    expect([free.isOpen(), unsigned(free)]).toEqual([false, 1]);
  });

  test("a replayed report changes nothing", async () => {
    const world = await makeWorld(1);
    const [good, bad] = [await world.sign(shut()), await world.sign(shut({ outcome: "failed", at: at(2) }))];
    await world.tellAsIs(1, good);
    await world.tellAsIs(2, bad);
    await world.tellAsIs(9, good);
    expect(world.read().proof).toMatchObject({ outcome: "failed", at: at(2) });
    expect(unsigned(world)).toBe(0);
  });

  test.each([
    ["isolation", 3, shut()],
    ["isolation, after the release of the later one", 4, shut()],
    ["release", 4, report(2, 2)],
    ["use of a code that is in the custody log", 3, byCode(1, 2)],
  ])(
    "a replayed report of an earlier %s does not count for generation %d",
    async (_what, generation, old) => {
      const world = await makeWorld(generation, { offlineReleaseOf: 1 });
      const asIs = world.read();
      await world.tell(9, old);
      expect([world.read(), world.isOpen()]).toEqual([asIs, true]);
      await world.tell(10, report(generation, 10, { probes }));
      const proven = world.read();
      expect(proven.proof).toEqual(await world.kept(report(generation, 10, { probes })));
      await world.tell(11, old);
      expect([world.read(), unsigned(world)]).toEqual([proven, 0]);
    },
  );

  test("many unsigned reports cause one write per generation", async () => {
    const world = await makeWorld(1);
    await world.tellAsIs(1, shut());
    const first = world.read().unsignedReport;
    await world.tellAsIs(2, shut({ at: at(2) }));
    expect([world.read().unsignedReport, unsigned(world)]).toEqual([first, 2]);
  });

  test("after the device key was replaced only the new key counts, and the old proof keeps its key", async () => {
    const world = await makeWorld(1);
    await world.tell(1, shut());
    const old = world.read().proof!;
    await world.change({ deviceKey: other.x, keyRotatedAt: at(2) });
    await world.tell(3, shut({ at: at(2), outcome: "failed" }));
    expect(world.read().proof).toEqual(old);
    expect(await isSignedReport(old.signedBy!, HERE, old)).toBe(true);
    expect(unsigned(world)).toBe(1);
    await world.tellAsIs(4, await other.sign(HERE, shut({ at: at(3) })));
    expect(world.read().proof).toMatchObject({ at: at(3), signedBy: other.x });
  });

  test("a revoked asset accepts no proof, signed or unsigned", async () => {
    const world = await makeWorld(1, { revokedAt: at(0) });
    await world.tell(1, shut());
    await world.tellAsIs(2, shut({ at: at(2) }));
    expect(world.read()).not.toHaveProperty("proof");
    expect(world.read()).not.toHaveProperty("unsignedReport");
  });
});
