import { expect, test } from "bun:test";
import { type AssetFilter, findAssets } from "../../../../edge/control/assets/search-assets.ts";
import { CursorFault } from "../../../../edge/control/cursor.ts";
import { type AttributeMap, type Dynamo, marshalItem } from "../../../../shared/table/dynamo.ts";
import {
  actionRequired,
  assetKey,
  assetState,
  employeeAssets,
  indexSort,
} from "../../../../shared/table/keys.ts";
import { importHmacKey } from "../../../../shared/wire/signature.ts";
import { believing } from "../../../support/control/authority.ts";

const TENANT = "org_a";
const FLEET = 100_000;

const idOf = (i: number) => `01M807NRG7${String(i).padStart(16, "0")}`;
const hostOf = (i: number) => `host-${i}`;

function assetOf(i: number): AttributeMap {
  const employeeId = "dana";
  return marshalItem({
    ...assetKey(TENANT, idOf(i)),
    GSI1PK: employeeAssets(TENANT, employeeId),
    GSI1SK: assetState("ACTIVE"),
    GSI2PK: actionRequired(TENANT),
    GSI2SK: indexSort("2026-11-22T00:00:00.000Z", idOf(i)),
    type: "Asset",
    tenantId: TENANT,
    assetId: idOf(i),
    employeeId,
    hostname: hostOf(i),
    os: "Linux",
    arch: "x64",
    deviceKey: "A".repeat(43),
    enrolledAt: "2026-11-22T00:00:00.000Z",
    status: "ACTIVE",
    generation: 0,
    custodyCount: 0,
  });
}

/** Test setup: a tenant with a hundred thousand assets. The fake table counts the assets that it has returned. */
async function makeReader() {
  const reads: Record<string, number> = {};
  const dynamo = (async (operation: string, input: never) => {
    reads[operation] = (reads[operation] ?? 0) + 1;
    if (operation === "Query") {
      const { Limit, ExclusiveStartKey } = input as { Limit: number; ExclusiveStartKey?: AttributeMap };
      const start = ExclusiveStartKey ? Number(ExclusiveStartKey.SK!.S!.slice(-16)) + 1 : 0;
      const end = Math.min(FLEET, start + Limit);
      const Items = Array.from({ length: end - start }, (_, i) => assetOf(start + i));
      const { PK, SK, GSI1PK, GSI1SK, GSI2PK, GSI2SK } = Items.at(-1) ?? {};
      return end < FLEET
        ? { Items, LastEvaluatedKey: { PK, SK, GSI1PK, GSI1SK, GSI2PK, GSI2SK } }
        : { Items };
    }
    if (operation === "GetItem") return {}; // the tenant has no settings
    const [keys] = Object.values(
      (input as { RequestItems: Record<string, { Keys: AttributeMap[] }> }).RequestItems,
    );
    const wanted = keys!.Keys.filter((key) => key.SK!.S!.startsWith("ASSET#"));
    return { Responses: { t: wanted.map((key) => assetOf(Number(key.SK!.S!.slice(-16)))) } };
  }) as unknown as Dynamo;
  const cursorKeys = [await importHmacKey(new Uint8Array(32).fill(7), ["sign", "verify"])];
  return {
    reads,
    reader: { dynamo, table: "t", authority: believing(dynamo), clock: () => 0, admin: { cursorKeys } },
  };
}

const searches: [string, AssetFilter][] = [
  ["a name nobody has", { hostname: "no-such-host" }],
  ["a name and an employee", { hostname: "no-such-host", employee: "dana" }],
  ["an engine nobody runs", { engine: "ollama" }],
  ["a state nobody is in", { state: "enforced" }],
];
for (const [what, filter] of searches) {
  test(`findAssets() searches for ${what} among 100,000 assets with few reads, and says that there are more to search`, async () => {
    const { reader, reads } = await makeReader();
    const page = await findAssets(reader, TENANT, filter, { limit: 50 });
    expect(page.items).toEqual([]);
    expect(page.cursor).toBeString();
    expect(reads.Query).toBeLessThanOrEqual(8);
    expect(reads.BatchGetItem ?? 0).toBeLessThanOrEqual(20);
  });
}

test("findAssets() finds each matching asset exactly once, with any page size", async () => {
  const { reader } = await makeReader();
  const wanted = Array.from({ length: FLEET }, (_, i) => hostOf(i)).filter((name) => name.includes("9999"));
  const found: string[] = [];
  let from: string | undefined;
  do {
    const page = await findAssets(reader, TENANT, { hostname: "9999" }, { limit: 7, ...(from && { from }) });
    expect(page.items.length).toBeLessThanOrEqual(7);
    found.push(...page.items.map(({ hostname }) => hostname));
    from = page.cursor;
  } while (from !== undefined);
  expect(found).toEqual(wanted);
});

test("findAssets() accepts only a cursor of the same search", async () => {
  const { reader } = await makeReader();
  const { cursor: from } = await findAssets(reader, TENANT, { hostname: "host" }, { limit: 5 });
  const again = (filter: AssetFilter, tenant = TENANT) =>
    findAssets(reader, tenant, filter, { limit: 5, from: from! });
  expect((await again({ hostname: "host" })).items[0]?.hostname).toBe("host-5");
  for (const filter of [
    { hostname: "hosts" },
    { employee: "dana" },
    { hostname: "host", status: "ACTIVE" as const },
    {},
  ]) {
    await expect(again(filter)).rejects.toBeInstanceOf(CursorFault);
  }
  await expect(again({ hostname: "host" }, "org_b")).rejects.toBeInstanceOf(CursorFault);
});
