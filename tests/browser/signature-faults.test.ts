import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import type { Browser } from "playwright-core";
import { marshalItem } from "../../shared/table/dynamo.ts";
import { securityKey } from "../../shared/table/keys.ts";
import { describeUnless } from "../support/missing.ts";
import { chromiumPath, lacking, launch } from "./chromium.ts";
import { type Edge, startEdge, TENANT } from "./edge.ts";
import { axe, LOOKS, wider } from "./page-checks.ts";

const executable = chromiumPath();
setDefaultTimeout(60_000);

describeUnless(lacking, "signature faults on the overview, in Chromium", () => {
  let edge: Edge;
  let browser: Browser;
  beforeAll(async () => {
    edge = await startEdge();
    browser = await launch(executable!);
    const item = "APIKEY#01M8Q5FYKSCX60GQG26SFZ122W";
    const faults = [1, 2, 3, 4].map((number) => ({ item: `${item}${number}`, code: "unsigned" }));
    const found = { type: "Security", tenantId: TENANT, checkedAt: "2026-11-22T12:00:00.000Z" };
    const Item = marshalItem({ ...securityKey(TENANT), ...found, faultCount: faults.length, faults });
    await edge.deps.dynamo("PutItem", { TableName: edge.deps.table, Item });
  });
  afterAll(async () => {
    await browser?.close();
    await edge?.stop();
  });

  test.each(Object.entries(LOOKS))("stay within the screen and pass axe: %s", async (_name, look) => {
    const context = await browser.newContext(look);
    await context.addCookies([{ name: "__session", value: await edge.session(), url: edge.origin }]);
    const page = await context.newPage();
    await page.goto(edge.origin);
    expect(await page.locator("#signature-faults").count()).toBe(1);
    expect(await wider(page)).toBeLessThanOrEqual(0);
    expect(await axe(page)).toEqual([]);
    await context.close();
  });
});
