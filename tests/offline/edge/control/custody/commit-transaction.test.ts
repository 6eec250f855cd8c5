import { beforeEach, describe, expect, test } from "bun:test";
import { createLocalJWKSet, jwtVerify } from "jose";
import type { Admin } from "../../../../../edge/auth/permissions.ts";
import type { Asker, Decision, Plan } from "../../../../../edge/control/custody/change-plan.ts";
import { commit } from "../../../../../edge/control/custody/custody-transaction.ts";
import type { Deps } from "../../../../../edge/deps.ts";
import type { PendingAction } from "../../../../../edge/heartbeat/read-pending-actions.ts";
import { verifyCustody } from "../../../../../shared/containment/custody-chain.ts";
import { createKeyedMutex } from "../../../../../shared/keyed-mutex.ts";
import { type AttributeMap, DynamoFault, marshalItem } from "../../../../../shared/table/dynamo.ts";
import { type AssetItem, assetItem } from "../../../../../shared/table/items/asset/asset.ts";
import { auditItem, custodyHeadItem } from "../../../../../shared/table/items/custody.ts";
import { decodeItem } from "../../../../../shared/table/items/decode.ts";
import { tenantDefaults } from "../../../../../shared/table/items/tenant.ts";
import { assetKey, idempotencyKey, tenantKey } from "../../../../../shared/table/keys.ts";
import { accept, refuse } from "../../../../../shared/verdict.ts";
import { interceptDynamo } from "../../../../support/dynamo/intercept-dynamo.ts";
import { createMemoryDynamo, type MemoryDynamo } from "../../../../support/dynamo/memory-dynamo.ts";
import { makeEdgeApp, TENANT_ID } from "../../../../support/edge/edge-app.ts";

/*
 * Tests commit() on nodes that share only the table. Each node has its own dependencies, so no mutex in the
 * process separates their transactions.
 */

const ASSETS = ["01M807NRG7BVMVH9SM4YAEXFPG", "01M807NRG7BVMVH9SM4YAEXFPH"] as const;
const base = (await makeEdgeApp()).deps;
const ADMIN: Admin = {
  ...{ tenantId: TENANT_ID, userId: "user_mara", sessionId: "sess_1", role: "admin", impersonated: false },
  ...{ via: "session", permissions: ["read", "contain"] },
};
const NOW_MS = 1_790_000_000_000;

let table: MemoryDynamo;

type Node = Awaited<ReturnType<typeof makeNode>>;

/**
 * Test setup: one edge node. `before` and `after` run before and after each transaction. They can throw an
 * error to simulate a network failure.
 */
function makeNode(more: Partial<Deps> = {}) {
  const state = {
    nowMs: NOW_MS,
    asked: [] as string[],
    pauses: [] as number[],
    forgotten: 0,
    learnt: [] as [string, PendingAction][],
    nudged: 0,
    logged: [] as unknown[],
    tokens: [] as (string | undefined)[],
    before: async (): Promise<void> => {},
    after: async (): Promise<void> => {},
  };
  const dynamo = interceptDynamo(table.dynamo, async ({ operation, input }, send) => {
    state.asked.push(operation);
    if (operation !== "TransactWriteItems") return send();
    state.tokens.push(input.ClientRequestToken as string | undefined);
    await state.before();
    const answer = await send();
    await state.after();
    return answer;
  });
  const deps: Deps = {
    ...base,
    dynamo,
    clock: () => state.nowMs,
    pause: async (ms) => void state.pauses.push(ms),
    nudge: async () => void state.nudged++,
    log: (...line) => void state.logged.push(line),
    pendingActions: {
      ...base.pendingActions,
      forget: () => void state.forgotten++,
      learn: (_tenant, assetId, action) => void state.learnt.push([assetId, action]),
    },
    ...more,
  };
  return { deps, state };
}

let keys = 0;
const askerOf = (key = `key-${++keys}`, more: Partial<Admin> = {}): Asker => ({
  ...{ admin: { ...ADMIN, ...more }, sourceIp: "192.0.2.1", requestId: `req-${key}`, idempotencyKey: key },
});

const put = (key: object, item: object) =>
  table.dynamo("PutItem", { TableName: "t", Item: marshalItem({ ...key, ...item }) });

async function readAsset(assetId: string): Promise<AssetItem> {
  const { Item } = await table.dynamo("GetItem", {
    TableName: "t",
    Key: marshalItem(assetKey(TENANT_ID, assetId)),
  });
  return decodeItem(assetItem, Item!);
}

const ofType = (type: string): AttributeMap[] =>
  [...table.items.values()].filter((item) => item.type?.S === type);
const records = () => ofType("Audit").map((item) => decodeItem(auditItem, item));
const head = () => {
  const [item] = ofType("CustodyHead");
  return item && decodeItem(custodyHeadItem, item);
};

/** A change of one asset. It conflicts with changes of other assets only at the head of the tenant's log. */
const ofAsset =
  (assetId: string, more: object = {}) =>
  async (): Promise<Decision<Plan<string>>> =>
    accept({
      assets: [{ before: await readAsset(assetId), records: [{ action: "acknowledge" as const }], ...more }],
      result: assetId,
    });
const ofTenant = async (): Promise<Decision<Plan<string>>> =>
  accept({ records: [{ action: "change-settings" as const }], result: "done", secret: "s3cret" });

const change = (
  node: Node,
  decide: (nowMs: number) => Promise<Decision<Plan<string>>>,
  asker = askerOf(),
  asked: unknown[] = ["change"],
) => commit(asker, asked, decide, node.deps);
const done = (result: string, secret?: string) => ({
  ok: true,
  value: { result, replayed: false, ...(secret && { secret }) },
});

async function seed(empty: MemoryDynamo): Promise<void> {
  table = empty;
  await put(tenantKey(TENANT_ID), tenantDefaults(TENANT_ID));
  for (const assetId of ASSETS)
    await put(assetKey(TENANT_ID, assetId), {
      ...{ type: "Asset", tenantId: TENANT_ID, assetId, employeeId: "dana", hostname: "h", os: "linux" },
      ...{ arch: "x64", deviceKey: "A".repeat(43), enrolledAt: "2026-11-21T00:00:00.000Z", status: "ACTIVE" },
      ...{ generation: 0, custodyCount: 0, GSI2PK: "open", GSI2SK: "open" },
    });
}
beforeEach(() => seed(createMemoryDynamo()));

describe("two nodes that share only the table", () => {
  test.each([
    ["the tenant's very first changes", 0],
    ["changes of a tenant that has a log", 2],
  ])("never fork the custody chain with %s", async (_what, earlier) => {
    const [slow, fast] = [makeNode(), makeNode()];
    for (let at = 0; at < earlier; at++) await change(fast, ofAsset(ASSETS[1]));
    // The other node's clock is fast, so the two records have different sort keys.
    fast.state.nowMs += 60_000;
    slow.state.before = async () => {
      slow.state.before = async () => {};
      await change(fast, ofAsset(ASSETS[1]));
    };
    expect<unknown>(await change(slow, ofAsset(ASSETS[0]))).toEqual(done(ASSETS[0]));
    expect(
      records()
        .map(({ tenantNumber }) => tenantNumber)
        .sort(),
    ).toEqual(Array.from({ length: earlier + 2 }, (_, at) => at + 1));
    expect(await verifyCustody(records(), head())).toBeUndefined();
    expect([slow.state.tokens.length, slow.state.pauses.length]).toEqual([2, 1]);
    // A record's time is always later than its predecessor's time, even if the node's clock is slow.
    const times = records()
      .sort((a, b) => a.tenantNumber - b.tenantNumber)
      .map(({ at }) => at);
    expect(times).toEqual([...new Set(times)].sort());
  });

  test("write 50 records of one chain for 50 simultaneous changes of assets and of the tenant", async () => {
    let turn = 0;
    await seed(createMemoryDynamo(() => Bun.sleep(turn++ % 3 === 0 ? 1 : 0)));
    // Each node makes its changes one at a time. The two nodes run in parallel.
    const nodes = [makeNode({ mutex: createKeyedMutex() }), makeNode({ mutex: createKeyedMutex() })];
    for (const { deps } of nodes) deps.pause = () => Bun.sleep(Math.random() * 4);
    const kinds = [ofAsset(ASSETS[0]), ofAsset(ASSETS[1]), ofTenant];
    const all = await Promise.all(
      Array.from({ length: 50 }, (_, at) => change(nodes[at % 2]!, kinds[at % 3]!)),
    );
    expect(all.every(({ ok }) => ok)).toBe(true);
    expect(records()).toHaveLength(50);
    expect(await verifyCustody(records(), head())).toBeUndefined();
    expect(nodes.some(({ state }) => state.tokens.length > 25)).toBe(true);
  });

  test("decide again if the other node has changed the asset", async () => {
    const [slow, fast] = [makeNode(), makeNode()];
    let decided = 0;
    slow.state.before = async () => {
      slow.state.before = async () => {};
      await change(fast, ofAsset(ASSETS[0]));
    };
    await change(slow, async () => {
      decided++;
      return ofAsset(ASSETS[0])();
    });
    expect([decided, (await readAsset(ASSETS[0])).custodyCount]).toEqual([2, 2]);
  });
});

describe("a repeated request", () => {
  test("gets the first response without its secret, is not decided again and writes nothing", async () => {
    const [first, second] = [makeNode(), makeNode()];
    const asker = askerOf();
    expect<unknown>(await change(first, ofTenant, asker)).toEqual(done("done", "s3cret"));
    const before = structuredClone(table.items);
    let decided = 0;
    const deciding = async () => {
      decided++;
      return ofTenant();
    };
    const again = await change(second, deciding, asker);
    expect(again).toEqual({ ok: true, value: { result: "done", replayed: true } });
    expect([decided, second.state.tokens, second.state.nudged]).toEqual([0, [], 0]);
    expect(table.items).toEqual(before);
  });

  test.each([
    ["from the same person for another change", {}, ["other"]],
    ["from another person for the same change", { userId: "user_tom" }, ["change"]],
  ])("with the same key, but %s, is a conflict and writes nothing", async (_what, more, asked) => {
    const node = makeNode();
    await change(node, ofTenant, askerOf("key-conflict"));
    expect(await change(node, ofTenant, askerOf("key-conflict", more), asked)).toMatchObject({
      ok: false,
      code: "admin.conflict",
    });
    expect(records()).toHaveLength(1);
  });

  test("during the first one is one change, in any order of their transactions", async () => {
    const [slow, fast] = [makeNode(), makeNode()];
    const asker = askerOf();
    let other: unknown;
    slow.state.before = async () => {
      slow.state.before = async () => {};
      other = await change(fast, ofTenant, asker);
    };
    expect(await change(slow, ofTenant, asker)).toEqual({
      ok: true,
      value: { result: "done", replayed: true },
    });
    expect([other, records().length]).toEqual([done("done", "s3cret"), 1]);
  });

  test("gets the first response, even if it would be rejected because the first one was committed", async () => {
    const [slow, fast] = [makeNode(), makeNode()];
    const asker = askerOf();
    const decide = async () => {
      await change(fast, ofTenant, asker);
      return refuse("admin.not-found");
    };
    expect(await change(slow, decide, asker)).toEqual({
      ok: true,
      value: { result: "done", replayed: true },
    });
    expect(await change(slow, async () => refuse("admin.not-found"))).toMatchObject({ ok: false });
  });

  test("in another tenant with the same key is a separate change", async () => {
    const node = makeNode();
    await put(tenantKey("org_b"), tenantDefaults("org_b"));
    await change(node, ofTenant, askerOf("key-shared"));
    expect<unknown>(await change(node, ofTenant, askerOf("key-shared", { tenantId: "org_b" }))).toEqual(
      done("done", "s3cret"),
    );
  });
});

describe("the record of a request", () => {
  test("contains token, result and hash, contains no secret, and expires after a day", async () => {
    const node = makeNode();
    const asker = askerOf();
    await change(node, ofTenant, asker);
    const { Item } = await table.dynamo("GetItem", {
      TableName: "t",
      Key: marshalItem(idempotencyKey(TENANT_ID, asker.idempotencyKey)),
    });
    expect(Item).toMatchObject({
      token: { S: node.state.tokens[0]! },
      result: { S: "done" },
      expiresAt: { N: String(Math.floor(NOW_MS / 1000) + 24 * 3600) },
    });
    expect(JSON.stringify(Item)).not.toContain("s3cret");
    expect(node.state.tokens[0]).toMatch(/^[\w-]{24}$/);
  });
});

describe("a transaction whose response is lost", () => {
  const reset = async () => {
    throw new TypeError("connection reset");
  };

  test("returns its secret if it was committed", async () => {
    const node = makeNode();
    node.state.after = reset;
    expect<unknown>(await change(node, ofTenant)).toEqual(done("done", "s3cret"));
    expect([records().length, node.state.forgotten, node.state.tokens.length]).toEqual([1, 1, 1]);
  });

  test("fails if it was not committed, and a retry commits it once", async () => {
    const node = makeNode();
    node.state.before = reset;
    const asker = askerOf();
    await expect(change(node, ofTenant, asker)).rejects.toThrow("connection reset");
    node.state.before = async () => {};
    expect([records().length, node.state.forgotten]).toEqual([0, 0]);
    expect<unknown>(await change(node, ofTenant, asker)).toEqual(done("done", "s3cret"));
    expect(records()).toHaveLength(1);
  });

  test("fails if another node committed the same request instead, because the secret is a different one", async () => {
    const [node, other] = [makeNode(), makeNode()];
    const asker = askerOf();
    node.state.before = async () => {
      await change(other, ofTenant, asker);
      throw new TypeError("connection reset");
    };
    await expect(change(node, ofTenant, asker)).rejects.toThrow("connection reset");
    expect(records()).toHaveLength(1);
  });

  test("fails with the first error if its outcome cannot be read either", async () => {
    const node = makeNode();
    const { dynamo } = node.deps;
    let isAway = false;
    node.deps.dynamo = interceptDynamo(dynamo, async (_, send) => {
      if (isAway) throw new Error("away");
      return send();
    });
    node.state.after = async () => {
      isAway = true;
      await reset();
    };
    await expect(change(node, ofTenant)).rejects.toThrow("connection reset");
  });

  test.each([
    ["TransactionConflictException", []],
    ["TransactionCanceledException", ["None", "ConditionalCheckFailed"]],
    ["TransactionCanceledException", ["TransactionConflict"]],
    [
      "TransactionCanceledException",
      ["ProvisionedThroughputExceeded", "ThrottlingError", "ThrottlingException"],
    ],
  ])("%s %j is decided again, after a pause that grows up to a limit", async (code, reasons) => {
    const node = makeNode();
    let left = 6;
    node.state.before = async () => {
      if (left-- > 0) throw new DynamoFault(code, reasons);
    };
    expect((await change(node, ofTenant)).ok).toBe(true);
    expect(node.state.tokens).toHaveLength(7);
    expect(new Set(node.state.tokens).size).toBe(7);
    for (const [index, ms] of node.state.pauses.entries()) {
      const most = [20, 40, 60, 60, 60, 60][index]!;
      expect(ms).toBeGreaterThanOrEqual(most / 10);
      expect(ms).toBeLessThanOrEqual(most);
    }
    expect(node.state.pauses).toHaveLength(6);
  });

  test.each([
    ["TransactionCanceledException", ["ConditionalCheckFailed", "ValidationError"]],
    ["TransactionCanceledException", ["ItemCollectionSizeLimitExceeded"]],
    ["ValidationException", []],
  ])("%s %j fails immediately", async (code, reasons) => {
    const node = makeNode();
    node.state.before = async () => {
      throw new DynamoFault(code, reasons);
    };
    await expect(change(node, ofTenant)).rejects.toThrow(code);
    expect(node.state.tokens).toHaveLength(1);
  });

  test("a change with 64 consecutive conflicts fails", async () => {
    const node = makeNode();
    node.state.before = async () => {
      throw new DynamoFault("TransactionConflictException");
    };
    await expect(change(node, ofTenant)).rejects.toThrow("64 consecutive optimistic-lock conflicts");
    expect([node.state.tokens.length, node.state.pauses.length]).toEqual([64, 63]);
  });
});

describe("a committed change", () => {
  const opens: PendingAction = { generation: 1, directive: "jws", expiresAtMs: 9e12, revoked: false };

  test("makes this node discard its cached open actions and learn the new one", async () => {
    const node = makeNode();
    await change(node, ofAsset(ASSETS[0], { opens }));
    expect([node.state.forgotten, node.state.learnt]).toEqual([1, [[ASSETS[0], opens]]]);
    await change(node, ofAsset(ASSETS[0]));
    expect([node.state.forgotten, node.state.learnt.length]).toEqual([2, 1]);
  });

  test("wakes a worker only if an event waits", async () => {
    const node = makeNode();
    await change(node, ofTenant);
    expect(node.state.nudged).toBe(0);
    await change(node, async () => {
      const plan = await ofTenant();
      return plan.ok ? accept({ ...plan.value, isWaited: true }) : plan;
    });
    expect(node.state.nudged).toBe(1);
  });

  test("is logged with its action and asset, using the text of its records", async () => {
    const node = makeNode();
    const records = [{ action: "isolate" as const, generation: 3, target: "inc_1" }];
    await change(node, ofAsset(ASSETS[0], { records }), askerOf("key-log"));
    await change(node, ofTenant, askerOf("key-log-2"));
    const common = { tenantId: TENANT_ID };
    expect(node.state.logged).toEqual([
      [
        "info",
        "change.isolate",
        { ...common, assetId: ASSETS[0], target: "inc_1", generation: 3, requestId: "req-key-log" },
      ],
      ["info", "change.change-settings", { ...common, requestId: "req-key-log-2" }],
    ]);
  });

  test("numbers and links its records: of the asset, of the tenant, and of all records together", async () => {
    const node = makeNode();
    const two = [{ action: "acknowledge" as const }, { action: "resolve" as const }];
    await change(node, ofAsset(ASSETS[0], { records: two }));
    await change(node, ofTenant);
    await change(node, ofAsset(ASSETS[1]));
    await change(node, ofTenant);
    await change(node, ofAsset(ASSETS[0]));
    const log = records().sort((a, b) => a.tenantNumber - b.tenantNumber);
    expect(log.map(({ number }) => number)).toEqual([1, 2, 1, 1, 2, 3]);
    expect(await verifyCustody(log, head())).toBeUndefined();
    const own = log[4]!;
    expect(head()).toMatchObject({
      count: 6,
      hash: log[5]!.hash,
      at: log[5]!.at,
      ownCount: 2,
      ownHash: own.hash,
    });
    expect(await readAsset(ASSETS[0])).toMatchObject({ custodyCount: 3, custodyHash: log[5]!.hash });
    expect(log[0]).toMatchObject({ operatorId: "user_mara", sessionId: "sess_1", sourceIp: "192.0.2.1" });
    expect(log[0]).not.toHaveProperty("keyMadeBy");
  });

  test("made by an API key names the creator of the key", async () => {
    await change(
      makeNode(),
      ofTenant,
      askerOf("key-by-key", { userId: "key_1", via: "api-key", keyMadeBy: "user_tom" }),
    );
    expect(records()[0]).toMatchObject({ operatorId: "key_1", keyMadeBy: "user_tom" });
  });

  test("has a checkpoint signed by the control key, over tenant, hash, count and time of the newest record", async () => {
    const node = makeNode();
    await change(node, ofAsset(ASSETS[0]));
    const { checkpoint, hash, at } = head()!;
    const keySet = createLocalJWKSet(base.controlJwks);
    const { payload, protectedHeader } = await jwtVerify(checkpoint, keySet, { typ: "lz-checkpoint+jwt" });
    const iat = Math.floor(Date.parse(at!) / 1000);
    expect(payload).toEqual({ tenant: TENANT_ID, hash, count: 1, iat });
    expect(protectedHeader).toEqual({ alg: "EdDSA", typ: "lz-checkpoint+jwt", kid: "control-1" });
  });

  test("sets the members that it names, and removes the asset from the index of open actions only if it is closed", async () => {
    const node = makeNode();
    const item = () => ofType("Asset").find(({ assetId }) => assetId?.S === ASSETS[0])!;
    await change(node, ofAsset(ASSETS[0], { set: { status: "ISOLATED" } }));
    expect(item()).toMatchObject({ status: { S: "ISOLATED" }, GSI2PK: { S: "open" } });
    await change(node, ofAsset(ASSETS[0], { isClosed: true }));
    expect([item().GSI2PK, item().GSI2SK]).toEqual([undefined, undefined]);
  });

  test.each([
    ["a value that it requires is different", { equal: { status: "ISOLATED" } }],
    ["an attribute that must be absent is present", { absent: ["hostname"] }],
  ])("is not committed if %s", async (_what, asked) => {
    const node = makeNode();
    await expect(change(node, ofAsset(ASSETS[0], asked))).rejects.toThrow(
      "64 consecutive optimistic-lock conflicts",
    );
    expect(records()).toEqual([]);
    for (const good of [{ equal: { status: "ACTIVE" } }, { absent: ["wish"] }])
      expect((await change(makeNode(), ofAsset(ASSETS[0], good))).ok).toBe(true);
  });

  test("is not committed if its asset no longer exists", async () => {
    const before = await readAsset(ASSETS[0]);
    const gone = { ...before, assetId: "01M807NRG7BVMVH9SM4YAEXFPZ" };
    const plan = async () =>
      accept({ assets: [{ before: gone, records: [{ action: "revoke" as const }] }], result: "x" });
    await expect(change(makeNode(), plan)).rejects.toThrow("64 consecutive optimistic-lock conflicts");
  });
});

test("a node without the control key changes nothing", async () => {
  const { controlKey: _, ...without } = makeNode().deps;
  expect(await commit(askerOf(), [], ofTenant, without as Deps)).toMatchObject({
    ok: false,
    code: "admin.read-only",
  });
  expect(records()).toEqual([]);
});

test("a change of 100 items is written, and one of 101 items fails", async () => {
  const extra = (count: number) => async (): Promise<Decision<Plan<string>>> => {
    const writes = Array.from({ length: count }, (_, at) => ({
      Put: { TableName: "t", Item: marshalItem({ PK: "extra", SK: `${count} ${at}` }) },
    }));
    return accept({ records: [{ action: "change-settings" }], writes, result: "done" });
  };
  // The transaction also contains four other items: the record, the head of the custody log, the head of the
  // signatures, and the idempotency record.
  expect((await change(makeNode(), extra(96))).ok).toBe(true);
  await expect(change(makeNode(), extra(97))).rejects.toThrow("the change has 101 items");
});

test("changes of one tenant run one after another on a node with a keyed mutex", async () => {
  const keys: string[] = [];
  const node = makeNode({
    mutex: (key, work) => {
      keys.push(key);
      return work();
    },
  });
  await change(node, ofTenant);
  expect(keys).toEqual([TENANT_ID]);
});

test("a change has a time later than every earlier record, and not earlier than the node's clock", async () => {
  const [early, late] = [makeNode(), makeNode()];
  late.state.nowMs += 60_000;
  await change(late, ofTenant);
  const times: number[] = [];
  const noting = async (nowMs: number) => {
    times.push(nowMs);
    return ofTenant();
  };
  await change(early, noting);
  await change(late, noting);
  expect(times).toEqual([NOW_MS + 60_001, NOW_MS + 60_002]);
  late.state.nowMs += 5;
  await change(late, noting);
  expect(times.at(-1)).toBe(NOW_MS + 60_005);
});
