import { expect, test } from "bun:test";
import { createPendingActions } from "../../../../edge/heartbeat/pending-actions.ts";
import type { CheckedAsset } from "../../../../shared/authority/check-reports.ts";
import { type AttributeMap, type Dynamo, marshalItem } from "../../../../shared/table/dynamo.ts";
import type { AssetItem } from "../../../../shared/table/items/asset/asset.ts";

const assetIdOf = (index: number) => `01M807NRG7BVMVH9SM4YAEX${String(index).padStart(3, "0")}`;
const AT = "2026-11-21T00:00:00.000Z";

const asset = (index: number, more: Partial<AssetItem> = {}): AssetItem => ({
  ...{ type: "Asset", tenantId: "org_a", assetId: assetIdOf(index), employeeId: "dana", hostname: "h" },
  ...{ os: "Linux", arch: "x64", deviceKey: "A".repeat(43), enrolledAt: AT, status: "ISOLATED" },
  ...{ generation: 1, custodyCount: 1 },
  wish: {
    ...{ generation: 7, action: "isolate", mode: "observe", requestedAt: AT },
    ...{ expiresAt: "2026-12-21T00:00:00.000Z", directive: `jws-${index}` },
  },
  ...more,
});

type Query = {
  TableName: string;
  IndexName: string;
  KeyConditionExpression: string;
  ExpressionAttributeValues: AttributeMap;
  ExclusiveStartKey?: AttributeMap;
};

/** A fake index with pages of `pageSize` items. Like DynamoDB, it returns the last key if more items may follow. */
function pagedIndex(
  items: readonly AssetItem[],
  pageSize: number,
  change: (query: Query) => Query = (query) => query,
) {
  const queries: Query[] = [];
  const dynamo = (async (operation: string, input: Query) => {
    expect(operation).toBe("Query");
    queries.push(input);
    if (queries.length > 50) throw new Error("the index was read without end");
    const { ExclusiveStartKey } = change(input);
    const after = items.findIndex(({ assetId }) => assetId === ExclusiveStartKey?.SK?.S);
    const page = items.slice(after + 1, after + 1 + pageSize);
    const LastEvaluatedKey = page.length === pageSize && { SK: { S: page.at(-1)!.assetId } };
    return { Items: page.map(marshalItem), ...(LastEvaluatedKey && { LastEvaluatedKey }) };
  }) as unknown as Dynamo;
  const logged: unknown[] = [];
  const actions = createPendingActions({
    ...{ dynamo, table: "t", clock: () => 1_000_000, shared: true, after: () => {} },
    log: (_level, event, fields) => void logged.push([event, String(fields?.error)]),
    instruments: { actionSetAge: () => {} },
    authority: {
      readMany: async (keys) => keys.map(() => ({})),
      checkReports: async (asset) => asset as CheckedAsset,
    },
  });
  return { actions, queries, logged };
}

const many = (length: number) => Array.from({ length }, (_, index) => asset(index));

test.each([
  [0, 1],
  [1, 1],
  [2, 2],
  [3, 2],
  [7, 4],
])(
  "an index of %d actions, two per page, is read completely in %d queries, each from the end of the previous one",
  async (length, pages) => {
    const { actions, queries, logged } = pagedIndex(many(length), 2);
    const set = await actions.of("org_a");
    expect([...set.keys()]).toEqual(many(length).map(({ assetId }) => assetId));
    expect([...set.values()].map(({ directive }) => directive)).toEqual(
      many(length).map((_, at) => `jws-${at}`),
    );
    expect(queries.map(({ ExclusiveStartKey }) => ExclusiveStartKey?.SK?.S)).toEqual([
      undefined,
      ...Array.from({ length: pages - 1 }, (_, page) => assetIdOf(2 * page + 1)),
    ]);
    expect(queries[0]).toEqual({
      TableName: "t",
      IndexName: "GSI2",
      KeyConditionExpression: "GSI2PK = :tenant",
      ExpressionAttributeValues: { ":tenant": { S: "TENANT#org_a#ACTION_REQ" } },
    });
    expect(logged).toEqual([]);
  },
);

test("an index that returns the same start key twice ends the read with a logged fault", async () => {
  const ignoring = pagedIndex(many(5), 2, ({ ExclusiveStartKey: _, ...query }) => query);
  expect((await ignoring.actions.of("org_a")).size).toBe(0);
  expect(ignoring.queries).toHaveLength(2);
  expect(ignoring.logged).toEqual([
    ["open-actions.stale", "Error: the index returned the same start key twice"],
  ]);
  // The fault must also be detected if another key was used between the two reads.
  let turn = 0;
  const circling = pagedIndex(many(6), 2, (query) =>
    turn++ % 2 === 0 ? { ...query, ExclusiveStartKey: {} } : query,
  );
  await circling.actions.of("org_a");
  expect(circling.queries.length).toBeLessThan(6);
  expect(circling.logged).toHaveLength(1);
});

test("each action contains the request, the revocation and the unrecorded release of its asset", async () => {
  const { wish: _, ...revoked } = asset(1, { revokedAt: AT, status: "ACTIVE" });
  const { actions } = pagedIndex([asset(0), revoked as AssetItem], 2);
  expect([...(await actions.of("org_a"))]).toEqual([
    [
      assetIdOf(0),
      {
        generation: 7,
        directive: "jws-0",
        expiresAtMs: Date.parse("2026-12-21T00:00:00.000Z"),
        revoked: false,
      },
    ],
    [assetIdOf(1), { generation: 0, expiresAtMs: 0, revoked: true }],
  ]);
});
