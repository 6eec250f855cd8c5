import { expect, test } from "bun:test";
import { listAssets } from "../../../../edge/control/assets/read-assets.ts";
import { findAssets } from "../../../../edge/control/assets/search-assets.ts";
import { batchGet } from "../../../../edge/control/batch-get.ts";
import { type Dynamo, marshalItem } from "../../../../shared/table/dynamo.ts";
import { assetKey } from "../../../../shared/table/keys.ts";
import { believing } from "../../../support/control/authority.ts";

const TENANT = "org_a";
const idOf = (i: number) => `01M807NRG7${String(i).padStart(16, "0")}`;
const assetOf = (i: number) =>
  marshalItem({
    ...assetKey(TENANT, idOf(i)),
    ...{ type: "Asset", tenantId: TENANT, assetId: idOf(i), employeeId: "dana", hostname: "h", os: "Linux" },
    ...{ arch: "x64", deviceKey: "A".repeat(43), enrolledAt: "2026-11-22T00:00:00.000Z" },
    ...{ status: "ACTIVE", generation: 0, custodyCount: 0 },
  });

/** A fake table that returns `readable` keys of each batch and leaves the other keys unprocessed. */
function busyTable(readable: number) {
  let batches = 0;
  const dynamo = (async (operation: string, input: { RequestItems: { t: { Keys: { SK: object }[] } } }) => {
    if (operation === "Query") return { Items: [assetOf(0), assetOf(1)] };
    if (operation === "GetItem") return {}; // the tenant has no settings
    batches++;
    const { Keys } = input.RequestItems.t;
    const [read, left] = [Keys.slice(0, readable), Keys.slice(readable)];
    return { Responses: { t: read }, UnprocessedKeys: left.length > 0 ? { t: { Keys: left } } : {} };
  }) as unknown as Dynamo;
  return {
    reader: { dynamo, table: "t", authority: believing(dynamo), clock: () => 0, admin: { cursorKeys: [] } },
    batches: () => batches,
  };
}

test("batchGet() requests unprocessed keys again until all are read", async () => {
  const table = busyTable(2);
  const keys = [0, 1, 2, 3, 4].map((i) => assetKey(TENANT, idOf(i)));
  expect(await batchGet(table.reader, keys)).toEqual(keys.map(marshalItem));
  expect(table.batches()).toBe(3);
});

test("batchGet() throws if the table never processes any key, after a limited number of requests", async () => {
  const table = busyTable(0);
  await expect(batchGet(table.reader, [assetKey(TENANT, idOf(0))])).rejects.toThrow(
    "DynamoDB did not return 1 items",
  );
  expect(table.batches()).toBe(8);
  await expect(listAssets(table.reader, TENANT, { limit: 2 })).rejects.toThrow("did not return 2 items");
  await expect(findAssets(table.reader, TENANT, { hostname: "h" }, { limit: 2 })).rejects.toThrow(
    "did not return 2 items",
  );
});
