import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { listApprovals } from "../../edge/control/containment/list-approvals.ts";
import { listCustody } from "../../edge/control/custody/list-custody.ts";
import { marshalItem, values } from "../../shared/table/dynamo.ts";
import { approvalKey } from "../../shared/table/keys.ts";
import { signStored } from "../support/control/authority.ts";
import { type Edge, startEdge, TENANT } from "./edge.ts";
import { furnishWebhook, requestIsolations, setFourEyes } from "./scenarios.ts";
import { createIds, engineOf, putHosts } from "./seed.ts";

/**
 * Tests the forms of approvals and webhooks over a real socket, with production transactions and without a
 * browser.
 */
let edge: Edge;
let cookies: Record<"mara" | "jo" | "vera", string>;
const nextId = createIds(Date.now());

beforeAll(async () => {
  edge = await startEdge();
  const cookie = async (claims: object) => `__session=${await edge.session(claims)}`;
  cookies = {
    mara: await cookie({}),
    jo: await cookie({ userId: "jo", sessionId: "sess_jo", role: "responder" }),
    vera: await cookie({ userId: "vera", sessionId: "sess_vera", role: "viewer" }),
  };
});
afterAll(() => edge?.stop());

async function enrolled(hostname: string): Promise<string> {
  const assetId = nextId();
  const now = Date.now();
  const host = { tenantId: TENANT, assetId, hostname, employeeId: "tom", os: "Debian 13", enrolledAtMs: now };
  const states = [{ atMs: now, engines: [engineOf()] }];
  await putHosts(edge.deps, [{ ...host, lastSeenAtMs: now, states }]);
  return assetId;
}

const read = async (path: string, cookie = cookies.mara) =>
  (await fetch(edge.origin + path, { headers: { cookie } })).text();

/** Returns the form with this action on a page, with its hidden fields. */
async function formOf(page: string, action: string, more: Record<string, string>, cookie: string) {
  const markup = await read(page, cookie);
  const form = markup.split("<form").find((part) => part.includes(`action="${action}"`));
  if (!form) return undefined;
  const hidden = [...form.matchAll(/type="hidden" name="([^"]+)" value="([^"]+)"/g)];
  return new URLSearchParams([...hidden.map(([, name, value]) => [name!, value!]), ...Object.entries(more)]);
}

const post = (path: string, body: URLSearchParams, cookie: string) =>
  fetch(edge.origin + path, {
    method: "POST",
    headers: { cookie, origin: edge.origin, "content-type": "application/x-www-form-urlencoded" },
    body: body.toString(),
    redirect: "manual",
  });

const actionsOf = async (assetId: string) =>
  (await listCustody(edge.deps, TENANT, assetId, { limit: 50 })).items.map(({ action }) => action);

describe("approvals", () => {
  const asked = async (hostname: string): Promise<[assetId: string, path: string]> => {
    const assetId = await enrolled(hostname);
    const [id] = await requestIsolations(edge.deps, cookies.mara.slice("__session=".length), [assetId]);
    return [assetId, `/approvals/${id}`];
  };

  test("a second person approves a request once, and the page of the host shows the state before and after", async () => {
    const [assetId, path] = await asked("approved");
    expect(await read(`/assets/${assetId}`)).toContain("a second person approves");
    expect(await read("/")).toContain("approval by a second person");
    const form = await formOf("/approvals", `${path}/approve`, { confirm: "yes" }, cookies.jo);
    const answers = await Promise.all([1, 2].map(() => post(`${path}/approve`, form!, cookies.jo)));
    for (const answer of answers) expect(answer.headers.get("location")).toBe("/approvals?done=approve");
    expect(await actionsOf(assetId)).toEqual(["isolate", "request-isolation"]);
    expect(await read(`/assets/${assetId}`)).toContain("Isolation pending");
  });

  /** Test setup: this setting is in force, and Mara requests an isolation in mode stop-engines. */
  const askedToStop = async (hostname: string, stopEnginesBy: "suspend" | "terminate") => {
    const assetId = await enrolled(hostname);
    const token = cookies.mara.slice("__session=".length);
    await setFourEyes(edge.deps, token, true, stopEnginesBy);
    const path = `/assets/${assetId}`;
    const filled = { mode: "stop-engines", justification: "INC-31", confirm: "yes" };
    const form = await formOf(path, `${path}/isolate`, filled, cookies.mara);
    const asking = await read(path);
    expect((await post(`${path}/isolate`, form!, cookies.mara)).status).toBe(303);
    const { items } = await listApprovals(edge.deps, TENANT, { limit: 50 });
    const { approvalId } = items.find((one) => one.assetId === assetId)!;
    return { assetId, asking, path: `/approvals/${approvalId}`, token };
  };
  const requestIn = (markup: string, path: string) =>
    markup.split("<li data-key").find((part) => part.includes(`${path}/deny`)) ?? "";

  test("the approver sees the same effect, employee and message as the requester", async () => {
    for (const by of ["suspend", "terminate"] as const) {
      const { asking, path } = await askedToStop(`shown-${by}`, by);
      const request = requestIn(await read("/approvals", cookies.jo), path);
      const told = /<span class="effect">.*?<\/span>/gs;
      const effect = asking.match(told)!.find((words) => words.includes(`agent ${by}s the inference`))!;
      expect(request).toContain(effect);
      const terms = /<ul class="terms">.*?<\/ul>/s.exec(asking)![0];
      expect(terms).toContain("tom");
      expect(terms).toContain("Call 4711");
      expect(request).toContain(terms);
      expect(request).toContain("Stop engines");
    }
  });

  test("a request cannot be approved after the setting it was made with has changed", async () => {
    const { assetId, path, token } = await askedToStop("moved", "suspend");
    const form = await formOf("/approvals", `${path}/approve`, { confirm: "yes" }, cookies.jo);
    await setFourEyes(edge.deps, token, true, "terminate");
    const answer = await post(`${path}/approve`, form!, cookies.jo);
    expect(answer.status).toBe(409);
    expect(await answer.text()).toContain("the settings have changed: engines are now terminated");
    expect(await actionsOf(assetId)).toEqual(["request-isolation"]);
    const request = requestIn(await read("/approvals", cookies.jo), path);
    expect(request).not.toContain(`${path}/approve`);
    expect(request).toContain("The agent suspends the inference processes");
    expect(request).toContain("engines are now terminated");
    await setFourEyes(edge.deps, token, true, "suspend");
    expect((await post(`${path}/approve`, form!, cookies.jo)).status).toBe(303);
    const { items } = await listCustody(edge.deps, TENANT, assetId, { limit: 5 });
    expect(items.map(({ stopEnginesBy }) => stopEnginesBy)).toEqual(["suspend", "suspend"]);
  });

  test("an isolation form that was opened with another setting is rejected with the reason", async () => {
    const assetId = await enrolled("stale");
    const token = cookies.mara.slice("__session=".length);
    await setFourEyes(edge.deps, token, false, "suspend");
    const path = `/assets/${assetId}`;
    const filled = { mode: "stop-engines", justification: "INC-32", confirm: "yes" };
    const form = await formOf(path, `${path}/isolate`, filled, cookies.mara);
    await setFourEyes(edge.deps, token, false, "terminate");
    const answer = await post(`${path}/isolate`, form!, cookies.mara);
    expect(answer.status).toBe(409);
    expect(await answer.text()).toContain("the settings have changed: engines are now terminated");
    expect(await actionsOf(assetId)).toEqual([]);
  });

  test("the requester and viewers see no form, and their posts are rejected", async () => {
    const [assetId, path] = await asked("own");
    expect(await formOf("/approvals", `${path}/approve`, {}, cookies.mara)).toBeUndefined();
    expect(await read("/approvals")).toContain("You made this request");
    expect(await read("/approvals", cookies.vera)).toContain("Your role is read-only");
    const own = await formOf("/settings", "/settings", {}, cookies.mara);
    const { csrf, key } = Object.fromEntries(own!);
    const body = new URLSearchParams({ csrf: csrf!, key: key!, confirm: "yes" });
    expect((await post(`${path}/approve`, body, cookies.mara)).status).toBe(403);
    expect((await post(`${path}/approve`, body, cookies.vera)).status).toBe(403);
    expect(await actionsOf(assetId)).toEqual(["request-isolation"]);
  });

  test("approving needs the checkbox, and denying needs a reason", async () => {
    const [assetId, path] = await asked("careless");
    const approve = await formOf("/approvals", `${path}/approve`, {}, cookies.jo);
    expect((await post(`${path}/approve`, approve!, cookies.jo)).status).toBe(400);
    const deny = await formOf("/approvals", `${path}/deny`, { justification: "no" }, cookies.jo);
    expect((await post(`${path}/deny`, deny!, cookies.jo)).status).toBe(400);
    expect(await actionsOf(assetId)).toEqual(["request-isolation"]);
  });

  test("a denied request cannot be approved, and its custody record has the reason", async () => {
    const [assetId, path] = await asked("denied");
    const approve = await formOf("/approvals", `${path}/approve`, { confirm: "yes" }, cookies.jo);
    const deny = await formOf("/approvals", `${path}/deny`, { justification: "Wrong host" }, cookies.jo);
    expect((await post(`${path}/deny`, deny!, cookies.jo)).status).toBe(303);
    expect((await post(`${path}/approve`, approve!, cookies.jo)).status).toBe(409);
    const { items } = await listCustody(edge.deps, TENANT, assetId, { limit: 5 });
    expect(items[0]).toMatchObject({ action: "deny-isolation", justification: "Wrong host" });
    expect(items).toHaveLength(2);
    expect(await read("/approvals")).toContain("Denied");
  });

  test("a user who may isolate can repeat an expired request", async () => {
    const [assetId] = await asked("lost");
    const { items } = await listApprovals(edge.deps, TENANT, { limit: 50 });
    const request = items.find((one) => one.assetId === assetId)!;
    await edge.deps.dynamo("UpdateItem", {
      TableName: edge.deps.table,
      Key: marshalItem(approvalKey(TENANT, request.approvalId)),
      UpdateExpression: "SET validUntil = :past",
      ExpressionAttributeValues: values({ past: "2026-01-01T00:00:00.000Z" }),
    });
    await signStored(edge.deps, TENANT);
    const path = `/approvals/${request.approvalId}`;
    expect(await read("/approvals")).toContain("Expired without a decision");
    const form = await formOf("/approvals", `${path}/again`, {}, cookies.jo);
    expect((await post(`${path}/again`, form!, cookies.jo)).headers.get("location")).toBe(
      "/approvals?done=again",
    );
    expect(await actionsOf(assetId)).toEqual(["request-isolation", "request-isolation"]);
    expect(await read("/approvals")).toContain("Requested by <bdi>jo</bdi>");
  });
});

test("administrators can use break-glass, responders cannot, and the custody record notes it", async () => {
  await setFourEyes(edge.deps, cookies.mara.slice("__session=".length), true);
  const assetId = await enrolled("glass");
  const path = `/assets/${assetId}`;
  expect(await read(path, cookies.jo)).not.toContain("breakGlass");
  const filled = { mode: "network", justification: "It spreads", confirm: "yes", breakGlass: "yes" };
  const jo = await formOf(path, `${path}/isolate`, filled, cookies.jo);
  expect((await post(`${path}/isolate`, jo!, cookies.jo)).status).toBe(403);
  expect(await actionsOf(assetId)).toEqual([]);
  const mara = await formOf(path, `${path}/isolate`, filled, cookies.mara);
  expect((await post(`${path}/isolate`, mara!, cookies.mara)).status).toBe(303);
  const { items } = await listCustody(edge.deps, TENANT, assetId, { limit: 5 });
  expect(items).toMatchObject([{ action: "isolate", target: "break-glass" }]);
});

describe("webhooks", () => {
  test("a webhook is added with its secret shown once, edited, rotated and deleted, each with a custody record", async () => {
    const terms = { url: "https://hooks.example.com/in", "event-incident.opened": "yes" };
    const create = await formOf("/integrations", "/integrations/webhooks", terms, cookies.mara);
    const [made, again] = await Promise.all(
      [1, 2].map(async () => {
        const answer = await post("/integrations/webhooks", create!, cookies.mara);
        return { status: answer.status, text: await answer.text() };
      }),
    );
    expect([made!.status, again!.status]).toEqual([201, 201]);
    const secrets = [made!, again!].flatMap(({ text }) => /whsec_[A-Za-z0-9+/=]+/.exec(text)?.[0] ?? []);
    expect(secrets).toHaveLength(1);
    const list = await read("/integrations");
    expect(list).not.toContain("whsec_");
    const path = /href="(\/integrations\/[a-z0-9]+)"/.exec(list)![1]!;
    const changed = { url: "https://hooks.example.com/there" };
    const change = await formOf(path, path, changed, cookies.mara);
    expect((await post(path, change!, cookies.mara)).headers.get("location")).toBe(`${path}?done=webhook`);
    expect(await read(path)).toContain("Receives every event");
    const rotate = await formOf(path, `${path}/rotate`, { justification: "It leaked" }, cookies.mara);
    const rotated = await (await post(`${path}/rotate`, rotate!, cookies.mara)).text();
    expect(rotated).toMatch(/whsec_/);
    expect(rotated).not.toContain(secrets[0]!);
    const unsure = await formOf(path, `${path}/delete`, {}, cookies.mara);
    expect((await post(`${path}/delete`, unsure!, cookies.mara)).status).toBe(400);
    const remove = await formOf(path, `${path}/delete`, { confirm: "yes" }, cookies.mara);
    expect((await post(`${path}/delete`, remove!, cookies.mara)).status).toBe(303);
    expect((await fetch(edge.origin + path, { headers: { cookie: cookies.mara } })).status).toBe(404);
    const custody = await read("/custody");
    for (const words of ["Create webhook", "Change webhook", "Rotate webhook secret", "Delete webhook"])
      expect(custody).toContain(words);
    expect(custody).not.toContain("whsec_");
  });

  test("a private or invalid address is rejected, and the form keeps the input", async () => {
    for (const url of ["http://10.0.0.4/", "https://localhost/", "ftp://a.example/", "nowhere"]) {
      const form = await formOf("/integrations", "/integrations/webhooks", { url }, cookies.mara);
      const answer = await post("/integrations/webhooks", form!, cookies.mara);
      expect(answer.status).toBe(400);
      const markup = await answer.text();
      expect(markup).toContain("No webhook was created");
      expect(markup).toContain(`value="${url}"`);
    }
  });

  test("failed deliveries are resent one by one or all together, each with a custody record", async () => {
    const token = cookies.mara.slice("__session=".length);
    const path = `/integrations/${await furnishWebhook(edge.deps, token, Date.now())}`;
    const dead = `${path}?state=dead`;
    expect(await read(path)).toContain("1 failed delivery");
    const [one, all] = await Promise.all([
      formOf(dead, `${path}/resend`, {}, cookies.mara),
      formOf(dead, `${path}/resend-dead`, {}, cookies.mara),
    ]);
    const send = (form: typeof one, to = "resend") => post(`${path}/${to}`, form!, cookies.mara);
    const twice = await Promise.all([send(one), send(one)]);
    for (const answer of twice) expect(answer.headers.get("location")).toBe(`${dead}&done=resent`);
    expect(await read(`${dead}&done=resent`)).toContain("Delivery queued again");
    expect(await read(path)).not.toContain("failed delivery");
    expect(await read(`${path}?state=waiting`)).toContain("incident.resolved");
    // An out-of-date form that was opened in another window.
    const stale = new URLSearchParams(one!);
    stale.set("key", "of-another-window");
    const refused = await send(stale);
    expect(refused.status).toBe(409);
    expect(await refused.text()).toContain(
      "Nothing was changed: it has not failed: it is waiting to be sent.",
    );
    const none = await send(all, "resend-dead");
    expect([none.status, await none.text()]).toEqual([200, expect.stringContaining("Nothing was queued")]);
    const resent = async () =>
      (await listCustody(edge.deps, TENANT, "TENANT", { limit: 200 })).items.filter(
        ({ action }) => action === "resend-deliveries",
      );
    expect(await resent()).toMatchObject([{ operatorId: "mara.lindqvist", target: path.split("/").at(-1) }]);
    const custody = await read("/custody");
    for (const words of ["Resend deliveries", "events evt_2900"]) expect(custody).toContain(words);

    const other = `/integrations/${await furnishWebhook(edge.deps, token, Date.now())}`;
    const form = await formOf(other, `${other}/resend-dead`, {}, cookies.mara);
    const sent = await (await post(`${other}/resend-dead`, form!, cookies.mara)).text();
    expect(sent).toContain("1 delivery queued again and recorded");
    expect(sent).not.toContain("Resend all failed");
    expect(await resent()).toHaveLength(2);
    for (const [to, cookie, status] of [
      ["resend", cookies.jo, 403],
      ["resend-dead", cookies.vera, 403],
    ] as const)
      expect((await post(`${path}/${to}`, one!, cookie)).status).toBe(status);
  });

  test("administrators can list, filter and download failed deliveries, and other roles cannot", async () => {
    const token = cookies.mara.slice("__session=".length);
    const webhookId = await furnishWebhook(edge.deps, token, Date.now());
    const path = `/integrations/${webhookId}`;
    expect(await read("/integrations")).toContain("answered 503");
    const page = await read(path);
    for (const words of ["Failing", "Failed", "Delivered", "next attempt", "answered 204, in 88 ms"])
      expect(page).toContain(words);
    const dead = await read(`${path}?state=dead`);
    expect(dead).toContain("did not answer");
    expect(dead).not.toContain("answered 204");
    const csv = await read(`/deliveries.csv?webhook=${webhookId}&state=dead`);
    expect(csv.trim().split("\r\n")).toHaveLength(2);
    for (const cookie of [cookies.jo, cookies.vera]) {
      expect(await read("/integrations", cookie)).not.toContain("hooks.northwind.example");
      for (const secret of [path, `/deliveries.json?webhook=${webhookId}`])
        expect((await fetch(edge.origin + secret, { headers: { cookie } })).status).toBe(403);
    }
  });
});
