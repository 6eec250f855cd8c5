import { describe, expect, test } from "bun:test";
import { verifyCustody } from "../../../../../shared/containment/custody-chain.ts";
import { type Dynamo, DynamoFault, marshalItem } from "../../../../../shared/table/dynamo.ts";
import type { AssetItem } from "../../../../../shared/table/items/asset/asset.ts";
import { assetItem } from "../../../../../shared/table/items/asset/asset.ts";
import type { AuditItem } from "../../../../../shared/table/items/custody.ts";
import { auditItem, custodyHeadItem } from "../../../../../shared/table/items/custody.ts";
import { decodeItem } from "../../../../../shared/table/items/decode.ts";
import { assetKey, custodyHeadKey } from "../../../../../shared/table/keys.ts";
import { createMemoryDynamo, type MemoryDynamo } from "../../../../support/dynamo/memory-dynamo.ts";
import { makeAdminApp } from "../../../../support/edge/admin-app.ts";
import { ASSET_ID, TENANT_ID } from "../../../../support/edge/edge-app.ts";

/**
 * When the call fails. `before`: the call did not take effect. `after`: the call took effect, but its
 * response was lost.
 */
type When = "before" | "after";
const FAULTS: [string, () => Error][] = [
  ["a broken connection", () => new TypeError("connection reset")],
  ["a throttled table", () => new DynamoFault("ProvisionedThroughputExceededException")],
  ["an internal error of the table", () => new DynamoFault("InternalServerError")],
];

const BODY = { justification: "model weights of unknown origin", mode: "network" };
type Fault = { call: number; when: When; fault: () => Error };

type State = { table: MemoryDynamo; asked: string[]; fail: Fault | undefined };
let state: State;

const faulty = (async (operation: string, input: never) => {
  const { table, asked, fail } = state;
  const fails = fail?.call === asked.length ? fail : undefined;
  asked.push(operation);
  if (fails?.when === "before") throw fails.fault();
  const answer = await table.dynamo(operation as "GetItem", input);
  if (fails?.when === "after") throw fails.fault();
  return answer;
}) as unknown as Dynamo;
const { ask, session } = await makeAdminApp({ dynamo: faulty });
const token = await session();

/** Test setup: the admin API with a new in-memory table. One selected call to the table fails once. */
async function makeWorld() {
  const table = createMemoryDynamo();
  const asked: string[] = [];
  state = { table, asked, fail: undefined };
  const asset: AssetItem = {
    type: "Asset",
    tenantId: TENANT_ID,
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
  };
  const Item = marshalItem({ ...assetKey(TENANT_ID, ASSET_ID), ...asset });
  await table.dynamo("PutItem", { TableName: "t", Item });
  const isolate = async (fail?: Fault): Promise<Response> => {
    asked.length = 0;
    state.fail = fail;
    return ask(`/v1/assets/${ASSET_ID}/isolate`, token, {
      method: "POST",
      headers: { "content-type": "application/json", "idempotency-key": "one-and-the-same" },
      body: JSON.stringify(BODY),
    });
  };
  return { table, isolate, asked };
}

function stored(table: MemoryDynamo) {
  const items = [...table.items.values()];
  const head = items.find((item) => item.SK!.S === custodyHeadKey(TENANT_ID).SK);
  return {
    asset: decodeItem(assetItem, items.find((item) => item.type?.S === "Asset")!),
    records: items
      .filter((item) => item.type?.S === "Audit")
      .map((item): AuditItem => decodeItem(auditItem, item)),
    head: head && decodeItem(custodyHeadItem, head),
    keys: items.filter((item) => item.type?.S === "Idempotency").length,
  };
}

/**
 * Asserts that the change, its custody record, the head of the log and the idempotency record either all
 * exist or are all absent. Returns the number of records.
 */
async function holdsTogether(table: MemoryDynamo): Promise<number> {
  const { asset, records, head, keys } = stored(table);
  expect(await verifyCustody(records, head)).toBeUndefined();
  expect([asset.generation, records.length, keys]).toEqual(Array(3).fill(asset.custodyCount));
  expect(asset.status).toBe(records.length === 1 ? "ISOLATED" : "ACTIVE");
  return records.length;
}

/** Record the requests to the table during an isolation without faults. */
const good = await makeWorld();
expect((await good.isolate()).status).toBe(202);
const CALLS = [...good.asked];

describe("if the table fails during an isolation, the change and its record are either both stored or both absent", () => {
  test.each(FAULTS)(
    "%s, before and after each call: repeating the request leads to one isolation",
    async (_what, fault) => {
      const came = new Set<number>();
      for (const when of ["before", "after"] as const) {
        for (const call of CALLS.keys()) {
          const { table, isolate } = await makeWorld();
          expect([202, 503]).toContain((await isolate({ call, when, fault })).status);
          came.add(await holdsTogether(table));
          expect((await isolate()).status).toBe(202);
          expect(await holdsTogether(table)).toBe(1);
        }
      }
      expect([...came].sort()).toEqual([0, 1]);
    },
  );

  test.each([
    ["a transaction conflict", () => new DynamoFault("TransactionConflictException")],
    [
      "a cancelled transaction",
      () => new DynamoFault("TransactionCanceledException", ["None", "TransactionConflict"]),
    ],
  ])("%s is retried, and never shown", async (_what, fault) => {
    for (const when of ["before", "after"] as const) {
      const { table, isolate } = await makeWorld();
      const answer = await isolate({ call: CALLS.indexOf("TransactWriteItems"), when, fault });
      expect(answer.status).toBe(202);
      expect(await holdsTogether(table)).toBe(1);
    }
  });
});
