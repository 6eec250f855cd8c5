import { describe, expect, test } from "bun:test";
import { makeDevice, makeHeartbeat } from "../../../../lz/platform/simulated-agents.ts";
import { AuthorityFault } from "../../../../shared/authority/types.ts";
import { type Dynamo, DynamoFault, marshalItem } from "../../../../shared/table/dynamo.ts";
import { type AssetItem, assetItem } from "../../../../shared/table/items/asset/asset.ts";
import { decodeItem } from "../../../../shared/table/items/decode.ts";
import { actionRequired, assetKey, indexSort, TABLE_NAME } from "../../../../shared/table/keys.ts";
import { timestamp } from "../../../../shared/time/clock.ts";
import { MINUTE_MS } from "../../../../shared/time/durations.ts";
import { SESSION_SECONDS } from "../../../../shared/wire/enrolment.ts";
import type { ContainmentReport } from "../../../../shared/wire/heartbeat.ts";
import { CLOSED_MAX, closeRevoked, REVOKED_OPEN_MS } from "../../../../worker/fleet/close-revoked.ts";
import { recordFleet } from "../../../../worker/fleet/count-fleet.ts";
import type { Deps } from "../../../../worker/receive/deps.ts";
import { recordHeartbeat } from "../../../../worker/record/record-heartbeat.ts";
import { createIds } from "../../../browser/seed.ts";
import { interceptDynamo } from "../../../support/dynamo/intercept-dynamo.ts";
import { createMemoryDynamo } from "../../../support/dynamo/memory-dynamo.ts";
import { createWorkerDeps, deliver, makeTenant, TENANT } from "../../../support/dynamo/worker-table.ts";
import { askedBy } from "../../../support/iam/aws-calls.ts";
import { deployedPolicies } from "../../../support/iam/deployed-policies.ts";
import { decide } from "../../../support/iam/policy.ts";

const NOW_MS = Date.parse("2026-11-22T12:00:00.000Z");
const ago = (ms: number): string => timestamp(NOW_MS - ms);
/** Latest revocation time at which an asset can already leave the index. */
const LONG_AGO = ago(REVOKED_OPEN_MS);
const CODE = "01K00000000000000000000CDE";

const device = await makeDevice();
const thief = await makeDevice();
const nextId = createIds(NOW_MS - 1e9);

const wishOf = (action: "isolate" | "release", generation: number): NonNullable<AssetItem["wish"]> => ({
  ...{ generation, action, mode: "network", directive: "a.b.c" },
  requestedAt: ago(10 * REVOKED_OPEN_MS),
  expiresAt: ago(9 * REVOKED_OPEN_MS),
});

/** A report on generation 2 as stored by the worker. It is signed with the key of `by`. */
async function kept(assetId: string, more: Partial<ContainmentReport> = {}, by = device) {
  const report: ContainmentReport = {
    ...{ generation: 2, action: "release", mode: "network", outcome: "applied" },
    at: ago(8 * REVOKED_OPEN_MS),
    ...more,
  };
  return { ...(await by.sign({ tenantId: TENANT, assetId }, report)), signedBy: device.x };
}
const byCode = { generation: 1, reason: `released at the host with code ${CODE}` };

const otherProof = await kept("another", { outcome: "failed" });
const otherUse = await kept("another", byCode);

/** Additional members of a revoked asset. */
type Members = Partial<AssetItem> | ((assetId: string) => Promise<Partial<AssetItem>>);

const revoked = (assetId: string): AssetItem => ({
  ...{
    type: "Asset",
    tenantId: TENANT,
    assetId,
    employeeId: "mara",
    hostname: "h",
    os: "Linux",
    arch: "x64",
  },
  ...{ deviceKey: device.x, enrolledAt: ago(20 * REVOKED_OPEN_MS), status: "ACTIVE", generation: 0 },
  ...{ custodyCount: 1, revokedAt: LONG_AGO },
});

/** Test setup: a worker, and revoked assets in the index of open actions. */
async function makeWorld(...assets: Members[]) {
  const table = createMemoryDynamo();
  const calls: [operation: string, input: object][] = [];
  let before: (operation: string) => Promise<void> = async () => {};
  const dynamo = (async (operation: "GetItem", input: never) => {
    calls.push([operation, input]);
    await before(operation);
    return table.dynamo(operation, input);
  }) as Dynamo;
  const logged: string[] = [];
  const clock = { nowMs: NOW_MS };
  const deps = createWorkerDeps({ ...table, dynamo }, makeTenant(), {
    clock: () => clock.nowMs,
    log: (level, event, fields) => void logged.push(`${level} ${event} ${JSON.stringify(fields)}`),
  });
  const put = (item: AssetItem) => {
    const since = item.revokedAt ?? item.wish?.requestedAt ?? item.enrolledAt;
    const index = { GSI2PK: actionRequired(TENANT), GSI2SK: indexSort(since, item.assetId) };
    const Item = marshalItem({ ...assetKey(TENANT, item.assetId), ...index, ...item });
    return table.dynamo("PutItem", { TableName: "memory", Item });
  };
  const ids: string[] = [];
  for (const more of assets) {
    const assetId = nextId();
    ids.push(assetId);
    await put({ ...revoked(assetId), ...(typeof more === "function" ? await more(assetId) : more) });
  }
  const stored = (assetId: string) => {
    const { PK, SK } = assetKey(TENANT, assetId);
    return table.items.get(`${PK} | ${SK}`)!;
  };
  return {
    ...{ table, deps, calls, logged, clock, ids },
    close: (more: Partial<Deps> = {}) => closeRevoked(TENANT, { ...deps, ...more }),
    isOpen: (assetId = ids[0]!) => stored(assetId).GSI2PK !== undefined,
    read: (assetId = ids[0]!) => decodeItem(assetItem, stored(assetId)),
    /** Runs `act` once, before the next call of the operation `kind`. */
    interfere: (kind: string, act: () => Promise<void>) => {
      before = async (operation) => {
        if (operation !== kind) return;
        before = async () => {};
        await act();
      };
    },
    change: (more: Partial<AssetItem>) =>
      table.dynamo("PutItem", {
        TableName: "memory",
        Item: { ...stored(ids[0]!), ...marshalItem(more) },
      }),
  };
}

test("all sessions have expired when an asset leaves the index, even if a clock is one hour off", () => {
  expect(REVOKED_OPEN_MS).toBeGreaterThanOrEqual(SESSION_SECONDS * 1000 + 3600_000);
});

describe("closeRevoked() removes from the index", () => {
  const cases: [string, Members][] = [
    ["an asset that was never contained", {}],
    [
      "one whose release is proven",
      async (assetId) => ({ generation: 2, wish: wishOf("release", 2), proof: await kept(assetId) }),
    ],
    [
      "one that a code freed, once the custody log holds it and a release is proven",
      async (assetId) => ({
        ...{ generation: 2, wish: wishOf("release", 2), proof: await kept(assetId) },
        ...{ freedByCode: await kept(assetId, byCode), offlineReleaseOf: 1 },
      }),
    ],
  ];
  test.each(cases)("%s", async (_what, members) => {
    const world = await makeWorld(members);
    const before = world.read();
    expect(await world.close()).toBe(1);
    expect(world.isOpen()).toBe(false);
    expect(world.read()).toEqual(before);
    expect(world.logged).toEqual([`info revoked.closed {"tenantId":"${TENANT}","closed":1}`]);
    expect(await world.close()).toBe(0);
  });
});

describe("closeRevoked() keeps in the index", () => {
  const released = { generation: 2, wish: wishOf("release", 2) };
  const cases: [string, Members][] = [
    ["an asset that is not revoked", { revokedAt: undefined }],
    ["one that was revoked a moment too late", { revokedAt: ago(REVOKED_OPEN_MS - 1) }],
    ["one that is isolated", { status: "ISOLATED", generation: 1, wish: wishOf("isolate", 1) }],
    ["one whose status alone says so", { status: "ISOLATED" }],
    ["one whose release is not proven", released],
    [
      "one whose release failed",
      async (id) => ({ ...released, proof: await kept(id, { outcome: "failed" }) }),
    ],
    [
      "one whose release somebody else signed",
      async (id) => ({ ...released, proof: await kept(id, {}, thief) }),
    ],
    [
      "one that went back behind its release",
      async (id) => ({
        ...{ ...released, proof: await kept(id) },
        setBack: { generation: 1, since: 2, at: ago(7 * REVOKED_OPEN_MS) },
      }),
    ],
    [
      "one that a code freed and the custody log does not hold",
      async (id) => ({ ...released, proof: await kept(id), freedByCode: await kept(id, byCode) }),
    ],
  ];
  test.each(cases)("%s", async (_what, members) => {
    const world = await makeWorld(members);
    expect(await world.close()).toBe(0);
    expect(world.isOpen()).toBe(true);
    expect(world.logged.filter((line) => line.includes("revoked."))).toEqual([]);
  });

  test("an asset with an invalid signature", async () => {
    const world = await makeWorld({}, {});
    const [forged] = world.ids;
    const { authority } = world.deps;
    const closed = await world.close({
      authority: {
        ...authority,
        readMany: async (keys) =>
          (await authority.readMany(keys)).map((item) =>
            item && !(item instanceof AuthorityFault) && item.assetId?.S === forged
              ? new AuthorityFault(TENANT, `ASSET#${forged}`, "unsigned")
              : item,
          ),
      },
    });
    expect([closed, ...world.ids.map(world.isOpen)]).toEqual([1, true, false]);
  });

  test.each([
    ["isolated", { status: "ISOLATED" }],
    ["revoked at another time", { revokedAt: ago(0) }],
    ["given another generation", { generation: 3 }],
    ["added to the custody log", { custodyCount: 2 }],
    ["proven otherwise", { proof: otherProof }],
    ["freed by a code", { freedByCode: otherUse }],
    ["set back", { setBack: { generation: 1, since: 2, at: ago(0) } }],
  ] as [string, Partial<AssetItem>][])("an asset that was %s after it was read", async (_what, more) => {
    const world = await makeWorld(async (assetId) => ({
      ...released,
      proof: await kept(assetId),
    }));
    world.interfere("UpdateItem", async () => void (await world.change(more)));
    expect(await world.close()).toBe(0);
    expect(world.isOpen()).toBe(true);
  });
});

describe("a run of closeRevoked()", () => {
  const many = (count: number): Members[] => Array.from({ length: count }, () => ({}));

  test("ends at its limit, and the next run continues", async () => {
    const world = await makeWorld(...many(CLOSED_MAX + 30));
    expect(await world.close()).toBe(CLOSED_MAX);
    expect(world.ids.filter(world.isOpen)).toHaveLength(30);
    expect(await world.close()).toBe(30);
    expect(world.ids.filter(world.isOpen)).toEqual([]);
  });

  test("ends after a minute", async () => {
    const world = await makeWorld(...many(80));
    world.interfere("UpdateItem", async () => {
      world.clock.nowMs += MINUTE_MS;
    });
    expect(await world.close()).toBe(25);
    expect(await world.close()).toBe(55);
  });

  test("reads the index page by page", async () => {
    const world = await makeWorld(...many(5), { revokedAt: undefined }, ...many(2));
    const paged = interceptDynamo(world.deps.dynamo, ({ operation, input }, send) =>
      send(operation === "Query" ? { ...input, Limit: 2 } : input),
    );
    expect(await world.close({ dynamo: paged })).toBe(7);
    expect(world.calls.filter(([operation]) => operation === "Query").length).toBeGreaterThanOrEqual(4);
  });

  test("does not read revocations that are too recent", async () => {
    const world = await makeWorld({ revokedAt: ago(MINUTE_MS) });
    await world.close();
    expect(world.calls.map(([operation]) => operation)).toEqual(["Query"]);
  });

  test("uses only permissions of the worker's IAM policy", async () => {
    const world = await makeWorld({}, {});
    expect(await world.close()).toBe(2);
    const { worker } = deployedPolicies();
    const asked = world.calls.flatMap(([operation, input]) =>
      askedBy(`DynamoDB_20120810.${operation}`, { ...input, TableName: TABLE_NAME }),
    );
    expect(new Set(asked.map(({ action }) => action))).toContain("dynamodb:UpdateItem");
    expect(asked.filter((each) => !decide(worker, each).isAllowed)).toEqual([]);
  });
});

describe("recordFleet()", () => {
  test("removes revoked assets from the index at each count", async () => {
    const world = await makeWorld({}, {});
    expect(await recordFleet(TENANT, world.deps)).toBe(true);
    expect(world.ids.map(world.isOpen)).toEqual([false, false]);
    await world.change({ hostname: "unchanged" });
    world.calls.length = 0;
    expect(await recordFleet(TENANT, world.deps)).toBe(false);
    expect(world.calls.map(([operation]) => operation)).toEqual(["GetItem"]);
  });

  test("counts the fleet even if this fails, and logs the failure", async () => {
    const world = await makeWorld({}, {});
    world.interfere("UpdateItem", async () => {
      // The first update claims the count of the fleet.
      world.interfere("UpdateItem", async () => {
        throw new DynamoFault("ProvisionedThroughputExceededException");
      });
    });
    expect(await recordFleet(TENANT, world.deps)).toBe(true);
    expect(world.logged.filter((line) => line.startsWith("warn revoked.not-closed"))).toHaveLength(1);
    expect([...world.table.items.keys()].filter((key) => key.includes("| FLEET#"))).toHaveLength(2);
  });
});

describe("an asset that was removed from the index", () => {
  test("is added again by a late report of a release by code, and stays until the custody log contains it", async () => {
    const world = await makeWorld(async (assetId) => ({
      ...{ generation: 2, wish: wishOf("release", 2), proof: await kept(assetId) },
    }));
    expect(await world.close()).toBe(1);
    const [assetId] = world.ids;
    const { signedBy: _, ...containment } = await kept(assetId!, byCode);
    await recordHeartbeat(
      deliver(makeHeartbeat(1, NOW_MS, "h", { containment }), assetId!),
      makeTenant(),
      world.deps,
    );
    expect(world.read().freedByCode).toMatchObject({ generation: 1 });
    expect(world.isOpen()).toBe(true);
    expect(await world.close()).toBe(0);
    await world.change({ offlineReleaseOf: 1, custodyCount: 2 });
    expect(await world.close()).toBe(1);
  });
});
