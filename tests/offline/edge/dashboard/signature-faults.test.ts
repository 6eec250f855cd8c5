import { expect, test } from "bun:test";
import { marshalItem } from "../../../../shared/table/dynamo.ts";
import { securityKey } from "../../../../shared/table/keys.ts";
import { createMemoryDynamo } from "../../../support/dynamo/memory-dynamo.ts";
import { makeAdminApp } from "../../../support/edge/admin-app.ts";
import { EDGE_URL, TENANT_ID } from "../../../support/edge/edge-app.ts";

/** Returns the overview page after a signature check that found the given faults. */
async function overviewWith(faults: { item: string; code: string }[] | undefined): Promise<string> {
  const { dynamo } = createMemoryDynamo();
  const world = await makeAdminApp({ dynamo });
  if (faults) {
    const found = { type: "Security", tenantId: TENANT_ID, checkedAt: "2026-11-22T12:00:00.000Z" };
    const counted = { faultCount: faults.length, faults: faults.slice(0, 50) };
    const Item = marshalItem({ ...securityKey(TENANT_ID), ...found, ...counted });
    await dynamo("PutItem", { TableName: "t", Item });
  }
  const cookie = `__session=${await world.session()}`;
  const answer = await world.app.request(`${EDGE_URL}/`, { headers: { cookie } });
  expect(answer.status).toBe(200);
  return (await answer.text()).replaceAll(/<[^>]*>/g, " ").replaceAll(/\s+/g, " ");
}

test("the overview names a stored item whose signature is invalid", async () => {
  const page = await overviewWith([{ item: "APIKEY#01M807NRG7BVMVH9SM4YAEXFPG", code: "unsigned" }]);
  expect(page).toContain("A stored item does not match its signature");
  expect(page).toContain("APIKEY#01M807NRG7BVMVH9SM4YAEXFPG");
});

test("it names the first three items and counts the rest, and escapes their names", async () => {
  const faults = Array.from({ length: 9 }, (_, index) => ({ item: `<b>${index}</b>`, code: "mismatch" }));
  const page = await overviewWith(faults);
  expect(page).toContain("9 stored items do not match their signatures");
  expect(page).toContain("&lt;b&gt;0&lt;/b&gt;, &lt;b&gt;1&lt;/b&gt;, &lt;b&gt;2&lt;/b&gt; and 6 more");
});

test.each([["no check yet", undefined] as const, ["a check without faults", []] as const])(
  "with %s it has no warning",
  async (_what, faults) => {
    expect(await overviewWith(faults && [...faults])).not.toContain("stored item");
  },
);
