import { beforeAll, expect, test } from "bun:test";
import { signTable } from "../../../../shared/authority/sign-table.ts";
import { createVerifier } from "../../../../shared/authority/verify-authority.ts";
import { marshalItem, unmarshalItem } from "../../../../shared/table/dynamo.ts";
import { tenantDefaults } from "../../../../shared/table/items/tenant.ts";
import { securityKey, tenantKey } from "../../../../shared/table/keys.ts";
import { auditSignatures } from "../../../../worker/fleet/audit-signatures.ts";
import { createMetrics } from "../../../../worker/platform/metrics.ts";
import { believing, custodyEnd, makeSigningKey } from "../../../support/control/authority.ts";
import { createMemoryDynamo } from "../../../support/dynamo/memory-dynamo.ts";

const TENANT = "org_memory";
let control: Awaited<ReturnType<typeof makeSigningKey>>;
beforeAll(async () => {
  control = await makeSigningKey("control-1");
});

async function makeWorld() {
  const table = createMemoryDynamo();
  const verifier = createVerifier(control.jwks);
  const state = { nowMs: Date.parse("2026-11-22T12:00:00.000Z"), logged: [] as unknown[] };
  const put = (more: object = {}) =>
    table.dynamo("PutItem", {
      TableName: "t",
      Item: marshalItem({ ...tenantKey(TENANT), ...tenantDefaults(TENANT), ...more }),
    });
  const sign = (version: number) =>
    signTable(
      { dynamo: table.dynamo, table: "t" },
      { tenantId: TENANT, version, nowMs: state.nowMs, control: control.key, verifier },
    );
  const metrics = createMetrics();
  const deps = {
    dynamo: table.dynamo,
    table: "t",
    authority: believing(table.dynamo, verifier),
    clock: () => state.nowMs,
    log: (_level: string, event: string, fields?: object) => void state.logged.push({ event, ...fields }),
    metrics,
  };
  const found = () => {
    const { PK, SK } = securityKey(TENANT);
    return unmarshalItem(table.items.get(`${PK} | ${SK}`)!);
  };
  await put();
  await table.dynamo("PutItem", { TableName: "t", Item: await custodyEnd(TENANT, 7, control.key) });
  await sign(7);
  return { state, put, sign, deps, found, metrics };
}

test("a tenant with signed items has no faults, and one worker audits it once a minute", async () => {
  const { deps, state, found, metrics } = await makeWorld();
  expect(await auditSignatures(TENANT, new Map(), deps)).toBe(true);
  expect(found()).toMatchObject({
    ...{ checkedAt: "2026-11-22T12:00:00.000Z", version: 7, items: 1 },
    ...{ byKid: { "control-1": 2 }, faultCount: 0 },
  });
  state.nowMs += 59_999;
  expect(await auditSignatures(TENANT, new Map(), deps)).toBe(false);
  state.nowMs += 1;
  const both = await Promise.all([1, 2].map(() => auditSignatures(TENANT, new Map(), deps)));
  expect(both.filter(Boolean)).toHaveLength(1);
  expect(state.logged).toEqual([]);
  expect(metrics.read().signature_faults_total).toBe(0);
});

test("an edited item is logged as a security event, counted, and listed in the table", async () => {
  const { deps, state, put, found, metrics } = await makeWorld();
  await put({ fourEyes: true });
  await auditSignatures(TENANT, new Map(), deps);
  expect(state.logged).toEqual([
    { event: "security.signature-fault", tenantId: TENANT, item: "METADATA", reason: "mismatch" },
  ]);
  expect(found()).toMatchObject({ faultCount: 1, faults: [{ item: "METADATA", code: "mismatch" }] });
  expect(metrics.read().signature_faults_total).toBe(1);
});

test("a restored table is detected by a worker that saw a newer version, regardless of the stored result", async () => {
  const { deps, state, found } = await makeWorld();
  await auditSignatures(TENANT, new Map([[TENANT, 9]]), deps);
  expect(state.logged).toMatchObject([{ item: "HEAD", reason: "rolledBack" }]);
  expect(found()).toMatchObject({ faultCount: 1 });
});
