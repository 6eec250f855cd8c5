import { afterAll, beforeAll, expect, test } from "bun:test";
import { createPendingActions } from "../../../edge/heartbeat/pending-actions.ts";
import { createAwsCall, createDynamo } from "../../../edge/platform/aws-client.ts";
import { startDynamodb } from "../../../local/dynamodb.ts";
import type { Stage } from "../../../local/stage.ts";
import { createTable, embeddedClient } from "../../../local/table.ts";
import type { CheckedAsset } from "../../../shared/authority/check-reports.ts";
import { createAuthority } from "../../../shared/authority/read-authority.ts";
import { signTable } from "../../../shared/authority/sign-table.ts";
import { createVerifier } from "../../../shared/authority/verify-authority.ts";
import { verifyCustody } from "../../../shared/containment/custody-chain.ts";
import { createKeyedMutex } from "../../../shared/keyed-mutex.ts";
import { type Dynamo, marshalItem, values } from "../../../shared/table/dynamo.ts";
import { auditItem, custodyHeadItem } from "../../../shared/table/items/custody.ts";
import { decodeItem } from "../../../shared/table/items/decode.ts";
import { tenantDefaults } from "../../../shared/table/items/tenant.ts";
import {
  actionRequired,
  assetKey,
  auditPrefix,
  custodyHeadKey,
  TABLE_NAME,
  tenantKey,
} from "../../../shared/table/keys.ts";
import { makeSigningKey } from "../../support/control/authority.ts";
import { makeAdminApp } from "../../support/edge/admin-app.ts";
import { TENANT_ID } from "../../support/edge/edge-app.ts";
import { localAccess } from "../../support/nodes/aws-access.ts";

const HOSTS = 8;
const CHANGES = 48;
const assetIdOf = (index: number) => `01M807NRG7BVMVH9SM4YAEX${String(index).padStart(3, "0")}`;
const AT = "2026-11-21T00:00:00.000Z";

let stage: Stage;
let endpoint: string;
/** Creates a separate DynamoDB client for each node. */
const connect = (): Dynamo =>
  createDynamo(createAwsCall(localAccess(), "dynamodb", endpoint), () => crypto.randomUUID());

const put = (dynamo: Dynamo, key: object, item: object) =>
  dynamo("PutItem", { TableName: TABLE_NAME, Item: marshalItem({ ...key, ...item }) });
const asset = (tenantId: string, index: number) => ({
  ...{ type: "Asset", tenantId, assetId: assetIdOf(index), employeeId: "dana", hostname: "h", os: "linux" },
  ...{
    arch: "x64",
    deviceKey: "A".repeat(43),
    enrolledAt: AT,
    status: "ACTIVE",
    generation: 0,
    custodyCount: 0,
  },
});

beforeAll(async () => {
  ({ stage, endpoint } = await startDynamodb(() => {}));
  const client = embeddedClient(endpoint);
  await createTable(client);
  client.destroy();
}, 30_000);
afterAll(() => stage?.stop());

test("parallel changes on two edge nodes that share only the table form one custody chain without forks", async () => {
  const seeding = connect();
  await put(seeding, tenantKey(TENANT_ID), tenantDefaults(TENANT_ID));
  for (let at = 0; at < HOSTS; at++)
    await put(seeding, assetKey(TENANT_ID, assetIdOf(at)), asset(TENANT_ID, at));
  const control = await makeSigningKey("control-1");
  const verifier = createVerifier(control.jwks);
  const pause = (ms: number) => Bun.sleep(ms);
  const signing = { tenantId: TENANT_ID, version: 0, nowMs: Date.now(), control: control.key, verifier };
  await signTable({ dynamo: seeding, table: TABLE_NAME }, signing);
  const nodes = await Promise.all(
    [0, 1].map(async () => {
      const dynamo = connect();
      const node = await makeAdminApp({
        dynamo,
        controlKey: control.key,
        controlJwks: control.jwks,
        authority: createAuthority({
          ...{ dynamo, table: TABLE_NAME, verifier, mode: "enforce" as const, pause, log: () => {} },
        }),
        table: TABLE_NAME,
        mutex: createKeyedMutex(),
        pause: (ms) => Bun.sleep(ms),
      });
      return { node, token: await node.session() };
    }),
  );
  const answers = await Promise.all(
    Array.from({ length: CHANGES }, async (_, at) => {
      const { node, token } = nodes[at % 2]!;
      const assetId = assetIdOf(at % HOSTS);
      // Isolations and releases alternate between rounds. Each is a separate change.
      const action = Math.floor(at / HOSTS) % 2 === 0 ? "isolate" : "release";
      const answer = await node.ask(`/v1/assets/${assetId}/${action}`, token, {
        method: "POST",
        headers: { "content-type": "application/json", "idempotency-key": `race-change-${at}` },
        body: JSON.stringify({ justification: `change ${at}` }),
      });
      return answer.status;
    }),
  );
  const accepted = answers.filter((status) => status === 202).length;
  expect(answers.filter((status) => ![202, 409].includes(status))).toEqual([]);
  const { Items } = await seeding("Query", {
    TableName: TABLE_NAME,
    ConsistentRead: true,
    KeyConditionExpression: "PK = :pk AND begins_with(SK, :prefix)",
    ExpressionAttributeValues: values({ pk: tenantKey(TENANT_ID).PK, prefix: auditPrefix() }),
  });
  const records = Items!.map((item) => decodeItem(auditItem, item));
  const { Item } = await seeding("GetItem", {
    TableName: TABLE_NAME,
    Key: marshalItem(custodyHeadKey(TENANT_ID)),
  });
  expect(await verifyCustody(records, decodeItem(custodyHeadItem, Item!))).toBeUndefined();
  expect(accepted).toBeGreaterThan(HOSTS);
  expect(records.length).toBeGreaterThanOrEqual(HOSTS);
  expect(records.length).toBeLessThanOrEqual(accepted);
}, 60_000);

test("more than 1 MB of open actions, on several pages, are read completely", async () => {
  const dynamo = connect();
  const tenantId = "org_large";
  const actions = 320;
  const directive = "x".repeat(4000);
  for (let at = 0; at < actions; at++) {
    const wish = {
      generation: 1,
      action: "isolate",
      mode: "observe",
      requestedAt: AT,
      expiresAt: AT,
      directive,
    };
    const index = { GSI2PK: actionRequired(tenantId), GSI2SK: `${AT}#${assetIdOf(at)}` };
    const item = { ...asset(tenantId, at), status: "ISOLATED", generation: 1, wish, ...index };
    await put(dynamo, assetKey(tenantId, assetIdOf(at)), item);
  }
  let pages = 0;
  const counting = (async (operation: "Query", input: never) => {
    pages++;
    return dynamo(operation, input);
  }) as unknown as Dynamo;
  const set = await createPendingActions({
    ...{ dynamo: counting, table: TABLE_NAME, clock: Date.now, log: () => {}, shared: true, after: () => {} },
    instruments: { actionSetAge: () => {} },
    authority: {
      readMany: async (keys) => keys.map(() => ({})),
      checkReports: async (asset) => asset as CheckedAsset,
    },
  }).of(tenantId);
  expect([set.size, pages]).toEqual([actions, 2]);
  expect([...set.values()].every((action) => action.directive === directive)).toBe(true);
}, 60_000);
