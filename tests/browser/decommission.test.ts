import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readAsset } from "../../edge/control/assets/read-assets.ts";
import { listCustody } from "../../edge/control/custody/list-custody.ts";
import { DAY_MS } from "../../shared/time/durations.ts";
import { describeUnless } from "../support/missing.ts";
import { lacking } from "./chromium.ts";
import { type Edge, startEdge, TENANT } from "./edge.ts";
import { hostileHost, type Northwind, nextId, startNorthwind } from "./northwind.ts";
import { axe } from "./page-checks.ts";
import { createIds, engineOf, type Host, itemsOf, putHosts } from "./seed.ts";

// Generous timeout for busy machines. A test that times out also stops the database that later tests need.
setDefaultTimeout(60_000);

describe("the form to remove, revoke or merge a host", () => {
  let edge: Edge;
  let cookie: string;
  const nextHost = createIds(Date.now());
  beforeAll(async () => {
    edge = await startEdge();
    cookie = `__session=${await edge.session()}`;
  });
  afterAll(() => edge?.stop());

  async function enrolled(hostname: string, more: Partial<Host> = {}): Promise<string> {
    const assetId = nextHost();
    const now = Date.now();
    const states = [{ atMs: now - 40 * DAY_MS, engines: [engineOf()] }];
    await putHosts(edge.deps, [
      {
        ...{ tenantId: TENANT, assetId, hostname, employeeId: "mara", os: "Debian 13" },
        ...{ enrolledAtMs: now - 50 * DAY_MS, lastSeenAtMs: now - DAY_MS, states, ...more },
      },
    ]);
    return assetId;
  }
  const pageOf = async (assetId: string, as = cookie) =>
    (await fetch(`${edge.origin}/assets/${assetId}`, { headers: { cookie: as } })).text();

  /** Returns the filled-in form of the current page. */
  async function formOf(assetId: string, more: Record<string, string>): Promise<URLSearchParams> {
    const [, form] = (await pageOf(assetId)).split(`action="/assets/${assetId}/leave"`);
    const hidden = (name: string) => new RegExp(`name="${name}" value="([^"]+)"`).exec(form!)![1]!;
    const filled = { justification: "returned to the lender", confirm: "yes", ...more };
    return new URLSearchParams({ csrf: hidden("csrf"), key: hidden("key"), ...filled });
  }
  const post = (assetId: string, body: URLSearchParams, as = cookie) =>
    fetch(`${edge.origin}/assets/${assetId}/leave`, {
      method: "POST",
      headers: { cookie: as, origin: edge.origin, "content-type": "application/x-www-form-urlencoded" },
      body: body.toString(),
      redirect: "manual",
    });
  const records = async (assetId: string) =>
    (await listCustody(edge.deps, TENANT, assetId, { limit: 50 })).items;

  test.each(["expire", "revoke"])("%s, sent twice at once, makes one custody record", async (how) => {
    const assetId = await enrolled(`to-${how}`);
    const form = await formOf(assetId, { how });
    const answers = await Promise.all([1, 2].map(() => post(assetId, form)));
    for (const answer of answers) {
      expect(answer.status).toBe(303);
      expect(answer.headers.get("location")).toBe(`/assets/${assetId}?done=${how}`);
    }
    const all = await records(assetId);
    expect(all.map(({ action }) => action)).toEqual([how as "expire"]);
    expect(all[0]).toMatchObject({ operatorId: "mara.lindqvist", justification: "returned to the lender" });
    const view = await readAsset(edge.deps, TENANT, assetId);
    if (how === "expire") expect(view?.lifecycle.reason).toBe("removed");
    else expect(view?.revokedAt).toBeString();
  });

  test("a host can be removed again after it has returned", async () => {
    const assetId = await enrolled("back-and-gone");
    for (const expected of [1, 2]) {
      expect((await post(assetId, await formOf(assetId, { how: "expire" }))).status).toBe(303);
      expect(await records(assetId)).toHaveLength(expected);
      await putPresence(assetId);
    }
  });
  /** Updates the presence item as a heartbeat would. */
  async function putPresence(assetId: string) {
    const states = [{ atMs: Date.now() - DAY_MS, engines: [] }];
    const now = Date.now() + 1000;
    const host = { tenantId: TENANT, assetId, hostname: "back", employeeId: "mara", os: "Debian 13" };
    const items = itemsOf({ ...host, enrolledAtMs: now - DAY_MS, lastSeenAtMs: now, states });
    const Item = items.find(({ type }) => type?.S === "Presence")!;
    await edge.deps.dynamo("PutItem", { TableName: edge.deps.table, Item });
  }

  test("merge links both pages to each other", async () => {
    const [old, next] = [await enrolled("laptop"), await enrolled("laptop")];
    const form = await formOf(old, { how: "merge", into: next });
    expect((await post(old, form)).headers.get("location")).toBe(`/assets/${old}?done=merge`);
    const before = await pageOf(old);
    expect(before).toContain(`<a href="/assets/${next}">`);
    expect(before).toContain("was merged into another host, and its device key is revoked");
    expect(before).not.toContain(`/assets/${old}/leave`);
    expect(await pageOf(next)).toContain(`<a href="/assets/${old}">`);
    expect((await records(next)).map(({ action, target }) => [action, target])).toEqual([["merge", old]]);
  });

  test("a merge without a target is 400, a rejected merge is 409, and both keep the input", async () => {
    const assetId = await enrolled("wrong");
    const without = await post(assetId, await formOf(assetId, { how: "merge", into: "" }));
    expect(without.status).toBe(400);
    const markup = await without.text();
    expect(markup).toContain("Enter the id of the host to merge into");
    expect(markup).toContain("returned to the lender");
    const refused = await post(assetId, await formOf(assetId, { how: "merge", into: assetId }));
    expect(refused.status).toBe(409);
    const said = await refused.text();
    expect(said).toContain("an asset cannot be merged into itself");
    expect(said).toContain("returned to the lender");
    expect(await records(assetId)).toEqual([]);
  });

  test("only administrators see the form and may send it", async () => {
    const assetId = await enrolled("guarded");
    const form = await formOf(assetId, { how: "revoke" });
    const responder = `__session=${await edge.session({ role: "responder" })}`;
    expect(await pageOf(assetId, responder)).not.toContain(`/assets/${assetId}/leave`);
    expect((await post(assetId, form, responder)).status).toBe(403);
    expect(await records(assetId)).toEqual([]);
  });
});

describeUnless(lacking, "removing a host, in Chromium", () => {
  let northwind: Northwind | undefined;
  beforeAll(async () => {
    northwind = await startNorthwind();
  }, 120_000);
  afterAll(() => northwind?.stop());

  test("an administrator removes a host, finds it among the expired hosts, and its page says why", async () => {
    const { edge, open } = northwind!;
    const now = Date.now();
    const leaving: Host = {
      ...hostileHost(),
      ...{ assetId: nextId(), hostname: "leaving-laptop", findings: [] },
      states: [{ atMs: now - DAY_MS, engines: [engineOf()] }],
      lastSeenAtMs: now - DAY_MS,
    };
    await putHosts(edge.deps, [leaving]);
    const { context, page, complaints } = await open();
    await page.goto(`${edge.origin}/assets/${leaving.assetId}`);
    await page.getByText("Remove, revoke or merge this host").click();
    await page.getByRole("radio", { name: /Remove from the active list/ }).check();
    await page.getByLabel("Reason", { exact: true }).fill("returned to the lender");
    await page.getByLabel("I confirm this for leaving-laptop").check();
    expect(await axe(page)).toEqual([]);
    await page.getByRole("button", { name: "Apply" }).click();
    await page.waitForSelector("#lifecycle >> text=removed from the active list by an administrator");
    expect(await page.locator("#asset-head .badges").textContent()).toContain("Removed from the list");

    await page.goto(`${edge.origin}/assets?q=leaving-laptop`);
    expect(await page.locator("#asset-list").textContent()).toContain("No host matches");
    await page.getByRole("link", { name: "1 expired host" }).click();
    await page.waitForSelector("#asset-list >> text=leaving-laptop");
    expect(await axe(page)).toEqual([]);
    expect(complaints).toEqual([]);
    await context.close();
  });
});
