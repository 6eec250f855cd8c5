import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createPendingActions } from "../../../edge/heartbeat/pending-actions.ts";
import { createAwsCall, createDynamo } from "../../../edge/platform/aws-client.ts";
import { startDynamodb } from "../../../local/dynamodb.ts";
import type { Stage } from "../../../local/stage.ts";
import { createTable, embeddedClient } from "../../../local/table.ts";
import { verifyCustody } from "../../../shared/containment/custody-chain.ts";
import {
  type AttributeMap,
  type Dynamo,
  marshal,
  marshalItem,
  values,
} from "../../../shared/table/dynamo.ts";
import { type ApprovalItem, approvalItem } from "../../../shared/table/items/approval.ts";
import { assetItem } from "../../../shared/table/items/asset/asset.ts";
import { auditItem, custodyHeadItem } from "../../../shared/table/items/custody.ts";
import { decodeItem } from "../../../shared/table/items/decode.ts";
import { tenantDefaults } from "../../../shared/table/items/tenant.ts";
import { assetKey, TABLE_NAME, tenantKey } from "../../../shared/table/keys.ts";
import { timestamp } from "../../../shared/time/clock.ts";
import type { ContainmentReport } from "../../../shared/wire/heartbeat.ts";
import { believing } from "../../support/control/authority.ts";
import { makeAdminApp } from "../../support/edge/admin-app.ts";
import { ASSET_ID } from "../../support/edge/edge-app.ts";
import { localAccess } from "../../support/nodes/aws-access.ts";

/*
 * Runs every containment change against the embedded DynamoDB. Each table call fails once before it is sent.
 * It also fails once after it was executed, as if the response was lost. Afterwards the change is either
 * complete or absent. After a retry, the change is present exactly once.
 */

type When = "before" | "after";
type Fault = { call: number; when: When };

describe("a containment change during a table failure", () => {
  let stage: Stage;
  let table: Dynamo;
  beforeAll(async () => {
    const embedded = await startDynamodb(() => {});
    stage = embedded.stage;
    const client = embeddedClient(embedded.endpoint);
    await createTable(client);
    client.destroy();
    const pause = (ms: number) => Bun.sleep(ms);
    table = createDynamo(createAwsCall(localAccess(pause), "dynamodb", embedded.endpoint), () =>
      crypto.randomUUID(),
    );
    app = await makeAdminApp({ dynamo: faulty, table: TABLE_NAME });
    app.deps.pendingActions = createPendingActions({
      dynamo: table,
      table: TABLE_NAME,
      authority: believing(table, undefined, TABLE_NAME),
      clock: () => app.state.nowMs,
      log: () => {},
      instruments: { actionSetAge: () => {} },
      shared: true,
      after: () => {},
    });
  });
  afterAll(() => stage?.stop());

  let app: Awaited<ReturnType<typeof makeAdminApp>>;
  let fail: Fault | undefined;
  const asked: string[] = [];
  const faulty = (async (operation: "GetItem", input: never) => {
    const fails = fail?.call === asked.length ? fail : undefined;
    asked.push(operation);
    if (fails?.when === "before") throw new TypeError("connection reset");
    const answer = await table(operation, input);
    if (fails?.when === "after") throw new TypeError("connection reset");
    return answer;
  }) as unknown as Dynamo;

  let tenants = 0;

  /** Creates a tenant with one host. Returns functions that send requests as its administrators. */
  async function makeWorld(settings: { fourEyes?: boolean } = {}) {
    const tenantId = `org_faults_${++tenants}`;
    const put = (key: object, item: object) =>
      table("PutItem", { TableName: TABLE_NAME, Item: marshalItem({ ...key, ...item }) });
    await put(tenantKey(tenantId), { ...tenantDefaults(tenantId), isolationsPerHourMax: 5, ...settings });
    await put(assetKey(tenantId, ASSET_ID), {
      type: "Asset",
      tenantId,
      assetId: ASSET_ID,
      employeeId: "dana",
      hostname: "desk-1",
      os: "linux",
      arch: "x64",
      deviceKey: "A".repeat(43),
      enrolledAt: "2026-11-21T00:00:00.000Z",
      status: "ACTIVE",
      generation: 0,
      custodyCount: 0,
    });
    const person = (sub: string, rol: string) => app.session({ sub, o: { id: tenantId, rol } });
    const [ann, ben] = [await person("user_ann", "responder"), await person("user_ben", "responder")];
    const ada = await person("user_ada", "admin");
    const post = async (path: string, token: string, key: string, body: object = {}) =>
      app.ask(`/v1${path}`, token, {
        method: "POST",
        headers: { "content-type": "application/json", "idempotency-key": key },
        body: JSON.stringify(body),
      });
    const ofAsset = (verb: string, token: string, key: string, more: object = {}) =>
      post(`/assets/${ASSET_ID}/${verb}`, token, key, { justification: "unknown model weights", ...more });
    const items = async (): Promise<AttributeMap[]> => {
      const query = {
        TableName: TABLE_NAME,
        KeyConditionExpression: "PK = :tenant",
        ExpressionAttributeValues: values({ tenant: tenantKey(tenantId).PK }),
        ConsistentRead: true,
      };
      return (await table("Query", query)).Items ?? [];
    };
    return { tenantId, ann, ben, ada, post, ofAsset, items };
  }
  type World = Awaited<ReturnType<typeof makeWorld>>;

  /** Asserts that all items in the tenant's partition are consistent. Returns the actions in the custody log. */
  async function holdsTogether(world: World): Promise<string[]> {
    const all = await world.items();
    const ofType = (type: string) => all.filter((item) => item.type?.S === type);
    const asset = decodeItem(assetItem, ofType("Asset")[0]!);
    const records = ofType("Audit")
      .map((item) => decodeItem(auditItem, item))
      .sort((a, b) => a.tenantNumber - b.tenantNumber);
    const [head] = ofType("CustodyHead");
    expect(await verifyCustody(records, head && decodeItem(custodyHeadItem, head))).toBeUndefined();
    const changes = records.filter(({ action }) => action === "isolate" || action === "release");
    const last = changes.at(-1)?.action;
    expect(asset.custodyCount).toBe(records.length);
    expect(ofType("Idempotency")).toHaveLength(records.length);
    expect([asset.generation, asset.wish?.generation ?? 0]).toEqual([changes.length, changes.length]);
    expect(asset.status).toBe(last === "isolate" ? "ISOLATED" : "ACTIVE");
    const counted = records.filter(({ action, target }) => action === "isolate" && target !== "break-glass");
    expect(Number(ofType("IsolationCount")[0]?.count?.N ?? 0)).toBe(counted.length);
    const approved = ofType("Approval")
      .map((item): ApprovalItem => decodeItem(approvalItem, item))
      .filter(({ approvedAt }) => approvedAt !== undefined);
    const ofApprovals = records.filter(
      ({ action, target }) =>
        action === "isolate" && approved.some(({ approvalId }) => approvalId === target),
    );
    expect(approved).toHaveLength(ofApprovals.length);
    const denied = ofType("Approval").filter(({ deniedAt }) => deniedAt !== undefined);
    expect(denied).toHaveLength(records.filter(({ action }) => action === "deny-isolation").length);
    const freed = records.filter(({ action }) => action === "release-offline");
    expect(freed.map(({ generation }) => generation)).toEqual(
      asset.offlineReleaseOf === undefined ? [] : [asset.offlineReleaseOf],
    );
    return records.map(({ action }) => action);
  }

  /** Records the containment report of a host that was released by a code, as the worker does. */
  async function freeOffline({ tenantId }: World): Promise<void> {
    const report: ContainmentReport = {
      generation: 1,
      action: "release",
      mode: "observe",
      outcome: "applied",
      at: timestamp(app.state.nowMs),
      reason: "released at the host with code X",
    };
    await table("UpdateItem", {
      TableName: TABLE_NAME,
      Key: marshalItem(assetKey(tenantId, ASSET_ID)),
      UpdateExpression: "SET #proof = :proof",
      ExpressionAttributeNames: { "#proof": "proof" },
      ExpressionAttributeValues: { ":proof": marshal(report) },
    });
    app.deps.pendingActions.forget(tenantId);
  }

  type Change = {
    settings?: { fourEyes: boolean };
    before?: (world: World) => Promise<unknown>;
    act: (world: World) => Promise<Response>;
    /** Expected actions in the custody log: without the change, and with the change. */
    log: [string[], string[]];
    good: number;
  };
  const approvalOf = async (world: World): Promise<string> => {
    const item = (await world.items()).find((each) => each.type?.S === "Approval")!;
    return decodeItem(approvalItem, item).approvalId;
  };
  const CHANGES: [string, Change][] = [
    [
      "isolate",
      {
        act: (world) => world.ofAsset("isolate", world.ann, "the-change"),
        log: [[], ["isolate"]],
        good: 202,
      },
    ],
    [
      "release",
      {
        before: (world) => world.ofAsset("isolate", world.ann, "isolated-before"),
        act: (world) => world.ofAsset("release", world.ann, "the-change"),
        log: [["isolate"], ["isolate", "release"]],
        good: 202,
      },
    ],
    [
      "a request for approval",
      {
        settings: { fourEyes: true },
        act: (world) => world.ofAsset("isolate", world.ann, "the-change"),
        log: [[], ["request-isolation"]],
        good: 202,
      },
    ],
    [
      "approve",
      {
        settings: { fourEyes: true },
        before: (world) => world.ofAsset("isolate", world.ann, "asked-before"),
        act: async (world) =>
          world.post(`/approvals/${await approvalOf(world)}/approve`, world.ben, "the-change"),
        log: [["request-isolation"], ["request-isolation", "isolate"]],
        good: 202,
      },
    ],
    [
      "deny",
      {
        settings: { fourEyes: true },
        before: (world) => world.ofAsset("isolate", world.ann, "asked-before"),
        act: async (world) => {
          const path = `/approvals/${await approvalOf(world)}/deny`;
          return world.post(path, world.ben, "the-change", { justification: "a false alarm" });
        },
        log: [["request-isolation"], ["request-isolation", "deny-isolation"]],
        good: 200,
      },
    ],
    [
      "break-glass",
      {
        settings: { fourEyes: true },
        act: (world) => world.ofAsset("isolate", world.ada, "the-change", { breakGlass: true }),
        log: [[], ["isolate"]],
        good: 202,
      },
    ],
    [
      "a release code",
      {
        before: (world) => world.ofAsset("isolate", world.ann, "isolated-before"),
        act: (world) => world.ofAsset("release-code", world.ada, "the-change"),
        log: [["isolate"], ["isolate", "create-release-code"]],
        good: 201,
      },
    ],
    [
      "the confirmation of an offline release",
      {
        before: async (world) => {
          await world.ofAsset("isolate", world.ann, "isolated-before");
          await freeOffline(world);
        },
        act: async (world) => app.ask(`/v1/assets/${ASSET_ID}`, world.ada),
        log: [["isolate"], ["isolate", "release-offline"]],
        good: 200,
      },
    ],
  ];

  test("a transaction sent twice with the same token is executed once and succeeds both times", async () => {
    const Item = marshalItem({ ...tenantKey("org_token"), type: "Tenant" });
    const put = { TableName: TABLE_NAME, Item, ConditionExpression: "attribute_not_exists(PK)" };
    const once = { TransactItems: [{ Put: put }], ClientRequestToken: crypto.randomUUID() };
    await table("TransactWriteItems", once);
    await table("TransactWriteItems", once);
    const other = { ...once, ClientRequestToken: crypto.randomUUID() };
    const refused = await table("TransactWriteItems", other).catch((error: unknown) => error);
    expect(refused).toMatchObject({ reasons: ["ConditionalCheckFailed"] });
  });

  test.each(CHANGES)(
    "%s: a failure at any call leaves the change complete or absent, and a retry completes it exactly once",
    async (_what, change) => {
      const start = async (): Promise<World> => {
        fail = undefined;
        const world = await makeWorld(change.settings);
        await change.before?.(world);
        asked.length = 0;
        return world;
      };
      const good = await start();
      expect((await change.act(good)).status).toBe(change.good);
      expect(await holdsTogether(good)).toEqual(change.log[1]);
      const calls = [...asked];
      expect(calls).toContain("TransactWriteItems");

      const came = new Set<string>();
      for (const when of ["before", "after"] as const) {
        for (const call of calls.keys()) {
          const world = await start();
          fail = { call, when };
          expect([change.good, 503]).toContain((await change.act(world)).status);
          const log = await holdsTogether(world);
          expect(change.log).toContainEqual(log);
          came.add(log.join());
          fail = undefined;
          // Repeat the change without a fault. An offline release is recorded by the next request of any kind.
          expect((await change.act(world)).status).toBe(change.good);
          expect(await holdsTogether(world)).toEqual(change.log[1]);
        }
      }
      expect([...came].sort()).toEqual(change.log.map((log) => log.join()).sort());
      console.log(`${_what}: ${2 * calls.length} faults at ${calls.length} calls`);
    },
    120_000,
  );
});
