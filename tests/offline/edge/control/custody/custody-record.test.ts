import { expect, test } from "bun:test";
import { marshalItem } from "../../../../../shared/table/dynamo.ts";
import { assetKey } from "../../../../../shared/table/keys.ts";
import { createMemoryDynamo } from "../../../../support/dynamo/memory-dynamo.ts";
import { makeAdminApp } from "../../../../support/edge/admin-app.ts";
import { ASSET_ID, TENANT_ID } from "../../../../support/edge/edge-app.ts";

const asset = {
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

for (const [length, status, written] of [
  [64, 202, true],
  [65, 503, false],
] as const)
  test(`a record whose address has ${length} characters is ${written ? "written" : "an error, and nothing is written"}`, async () => {
    const table = createMemoryDynamo();
    await table.dynamo("PutItem", {
      TableName: "t",
      Item: marshalItem({ ...assetKey(TENANT_ID, ASSET_ID), ...asset }),
    });
    const { ask, session } = await makeAdminApp({
      dynamo: table.dynamo,
      sourceIp: () => "x".repeat(length),
    });
    const before = table.items.size;
    const answer = await ask(`/v1/assets/${ASSET_ID}/isolate`, await session(), {
      method: "POST",
      headers: { "content-type": "application/json", "idempotency-key": "key-custody-1" },
      body: JSON.stringify({ mode: "network", justification: "model weights of unknown origin" }),
    });
    expect([answer.status, table.items.size > before]).toEqual([status, written]);
    const log = await ask(`/v1/assets/${ASSET_ID}/custody`, await session());
    expect(log.status).toBe(200);
  });
