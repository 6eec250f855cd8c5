import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { listCustody } from "../../edge/control/custody/list-custody.ts";
import { marshalItem } from "../../shared/table/dynamo.ts";
import { tenantDefaults } from "../../shared/table/items/tenant.ts";
import { tenantKey } from "../../shared/table/keys.ts";
import { signStored } from "../support/control/authority.ts";
import { type Edge, startEdge, TENANT } from "./edge.ts";
import { createIds, engineOf, putHosts } from "./seed.ts";

/** Tests forms over a real socket, with production transactions and without a browser. */
describe("isolate and release by form", () => {
  let edge: Edge;
  let cookie: string;
  const nextId = createIds(Date.now());

  beforeAll(async () => {
    edge = await startEdge();
    cookie = `__session=${await edge.session()}`;
  });
  afterAll(() => edge?.stop());

  async function enrolled(hostname: string): Promise<string> {
    const assetId = nextId();
    const now = Date.now();
    const states = [{ atMs: now, engines: [engineOf()] }];
    const host = {
      tenantId: TENANT,
      assetId,
      hostname,
      employeeId: "mara",
      os: "Debian 13",
      enrolledAtMs: now,
    };
    await putHosts(edge.deps, [{ ...host, lastSeenAtMs: now, states }]);
    return assetId;
  }

  /** Returns the filled-in form of the current page. */
  async function formOf(assetId: string, more: Record<string, string> = {}): Promise<URLSearchParams> {
    const markup = await (await fetch(`${edge.origin}/assets/${assetId}`, { headers: { cookie } })).text();
    const hidden = (name: string) => new RegExp(`name="${name}" value="([^"]+)"`).exec(markup)![1]!;
    const filled = { justification: "INC-7 says so", confirm: "yes", ...more };
    return new URLSearchParams({ csrf: hidden("csrf"), key: hidden("key"), ...filled });
  }

  const post = (path: string, body: URLSearchParams) =>
    fetch(edge.origin + path, {
      method: "POST",
      headers: { cookie, origin: edge.origin, "content-type": "application/x-www-form-urlencoded" },
      body: body.toString(),
      redirect: "manual",
    });

  const records = async (assetId: string) =>
    (await listCustody(edge.deps, TENANT, assetId, { limit: 50 })).items;

  test("a form that is sent several times at once makes one custody record, and all responses lead to the host", async () => {
    const assetId = await enrolled("twice");
    const form = await formOf(assetId, { mode: "observe" });
    const answers = await Promise.all([1, 2, 3].map(() => post(`/assets/${assetId}/isolate`, form)));
    for (const answer of answers) {
      expect(answer.status).toBe(303);
      expect(answer.headers.get("location")).toBe(`/assets/${assetId}?done=isolate`);
    }
    const [record, ...more] = await records(assetId);
    expect(more).toHaveLength(0);
    expect(record).toMatchObject({
      action: "isolate",
      operatorId: "mara.lindqvist",
      sourceIp: "203.0.113.24",
      justification: "INC-7 says so",
      generation: 1,
    });
  });

  test("a justification of 10,000 characters is rejected, and the form keeps all of them", async () => {
    const assetId = await enrolled("long");
    for (const typed of ["a".repeat(10_000), "汉".repeat(10_000)]) {
      const form = await formOf(assetId, { mode: "network", justification: typed });
      const answer = await post(`/assets/${assetId}/isolate`, form);
      expect(answer.status).toBe(400);
      const markup = await answer.text();
      expect(markup.includes(typed)).toBe(true);
      expect(markup).toContain("of 3 to 1000 characters");
      expect(markup).toContain("10,000");
    }
    expect(await records(assetId)).toEqual([]);
  });

  test("a form sent after the session has ended leads back to its page after sign-in", async () => {
    const assetId = await enrolled("ended");
    const body = (await formOf(assetId, { mode: "network" })).toString();
    const headers = { origin: edge.origin, "content-type": "application/x-www-form-urlencoded" };
    const answer = await fetch(`${edge.origin}/assets/${assetId}/isolate`, {
      method: "POST",
      headers,
      body,
      redirect: "manual",
    });
    expect(answer.status).toBe(303);
    const to = new URL(answer.headers.get("location")!, edge.origin);
    expect([to.pathname, to.searchParams.get("return")]).toEqual(["/sign-in", `/assets/${assetId}`]);
    expect(await records(assetId)).toEqual([]);
  });

  test("if a second person must approve, the page does not call the isolation requested before that", async () => {
    const assetId = await enrolled("four-eyes");
    const tenant = { ...tenantKey(TENANT), ...tenantDefaults(TENANT) };
    const put = async (settings: object) => {
      const Item = marshalItem({ ...tenant, ...settings });
      await edge.deps.dynamo("PutItem", { TableName: edge.deps.table, Item });
      await signStored(edge.deps, TENANT);
    };
    await put({ fourEyes: true });
    try {
      const answer = await post(`/assets/${assetId}/isolate`, await formOf(assetId, { mode: "network" }));
      expect(answer.headers.get("location")).toBe(`/assets/${assetId}?done=waiting`);
      const page = await fetch(`${edge.origin}/assets/${assetId}?done=waiting`, { headers: { cookie } });
      const text = await page.text();
      expect(text).toContain("nothing is isolated yet");
      expect(text).not.toContain("Isolation pending");
    } finally {
      await put({});
    }
  });

  test("a second isolation with another justification is 409 and writes nothing", async () => {
    const assetId = await enrolled("once");
    const first = await formOf(assetId, { mode: "network" });
    await post(`/assets/${assetId}/isolate`, first);
    const late = new URLSearchParams(first);
    late.set("justification", "somebody else thought so too");
    const answer = await post(`/assets/${assetId}/isolate`, late);
    expect(answer.status).toBe(409);
    expect(await answer.text()).toContain("Isolation pending");
    expect(await records(assetId)).toHaveLength(1);
  });

  test("release works likewise, and line breaks in the justification become spaces", async () => {
    const assetId = await enrolled("back");
    await post(`/assets/${assetId}/isolate`, await formOf(assetId, { mode: "observe" }));
    const form = await formOf(assetId, { justification: "All clear\r\n\r\nby INC-7" });
    expect((await post(`/assets/${assetId}/release`, form)).status).toBe(303);
    expect((await post(`/assets/${assetId}/release`, form)).status).toBe(303);
    const log = await records(assetId);
    expect(log.map(({ action }) => action)).toEqual(["release", "isolate"]);
    expect(log[0]!.justification).toBe("All clear by INC-7");
  });

  test("an incident is acknowledged, then resolved with a reason, each with one custody record", async () => {
    const assetId = await enrolled("answered");
    const now = Date.now();
    const finding = {
      rule: "exposed-engine",
      engine: "ollama",
      engineName: "Ollama",
      risk: "CRITICAL" as const,
      points: 80,
      explanation: "Ollama listens on 0.0.0.0 and requires no credential.",
    };
    const host = { tenantId: TENANT, assetId, hostname: "answered", employeeId: "mara", os: "Debian 13" };
    const states = [{ atMs: now, engines: [engineOf()] }];
    await putHosts(edge.deps, [
      {
        ...host,
        enrolledAtMs: now,
        lastSeenAtMs: now,
        states,
        findings: [{ finding, openedAtMs: now - 60_000 }],
      },
    ]);
    const path = `/incidents/${assetId}.exposed-engine.ollama`;
    const read = async () => (await fetch(edge.origin + path, { headers: { cookie } })).text();
    const formFor = async (action: string, more = {}) => {
      const form = new RegExp(`/${action}".*?</form>`, "s").exec(await read())![0];
      const hidden = (name: string) => new RegExp(`name="${name}" value="([^"]+)"`).exec(form)![1]!;
      return new URLSearchParams({ csrf: hidden("csrf"), key: hidden("key"), ...more });
    };
    const acknowledge = await formFor("acknowledge");
    const twice = await Promise.all([1, 2].map(() => post(`${path}/acknowledge`, acknowledge)));
    for (const answer of twice) expect(answer.headers.get("location")).toBe(`${path}?done=acknowledge`);
    expect(await read()).toContain("Acknowledged by <bdi>mara.lindqvist</bdi>");
    const resolve = await formFor("resolve", { justification: "Bound to loopback by INC-7" });
    expect((await post(`${path}/resolve`, resolve)).status).toBe(303);
    expect(await read()).toContain("Bound to loopback by INC-7");
    expect((await records(assetId)).map(({ action }) => action)).toEqual(["resolve", "acknowledge"]);
  });

  const exposed = {
    rule: "exposed-engine",
    engine: "ollama",
    engineName: "Ollama",
    risk: "CRITICAL" as const,
    points: 80,
    explanation: "Ollama listens on 0.0.0.0 and requires no credential.",
  };

  test("several selected incidents are acknowledged together, with one custody record each, also if sent twice", async () => {
    const now = Date.now();
    const ids = [nextId(), nextId()];
    const host = (assetId: string) => ({
      ...{ tenantId: TENANT, assetId, hostname: "many", employeeId: "mara", os: "Debian 13" },
      enrolledAtMs: now,
      lastSeenAtMs: now,
      states: [{ atMs: now, engines: [engineOf()] }],
      findings: [{ finding: exposed, openedAtMs: now - 60_000 }],
    });
    await putHosts(edge.deps, ids.map(host));
    const list = async () => (await fetch(`${edge.origin}/incidents`, { headers: { cookie } })).text();
    const markup = await list();
    const csrf = /name="csrf" value="([^"]+)"/.exec(markup)![1]!;
    const ticked = ids.map((id) => {
      const name = `${id}.exposed-engine.ollama`;
      return [name, new RegExp(`name="${name}" value="([^"]+)"`).exec(markup)![1]!];
    });
    const form = new URLSearchParams([["csrf", csrf], ...ticked]);
    for (const answer of await Promise.all([1, 2].map(() => post("/incidents/acknowledge", form)))) {
      expect(answer.status).toBe(303);
      expect(answer.headers.get("location")).toBe("/incidents?done=acknowledge-many");
    }
    for (const id of ids) {
      expect((await records(id)).map(({ action }) => action)).toEqual(["acknowledge"]);
      expect(await list()).not.toContain(`name="${id}.exposed-engine.ollama"`);
    }
  });

  test("policy and settings are saved by form, and a form with an outdated version is 412 and writes nothing", async () => {
    const read = async (path: string) => (await fetch(edge.origin + path, { headers: { cookie } })).text();
    const hidden = (markup: string) =>
      Object.fromEntries(
        ["csrf", "key", "version"].map((name) => [
          name,
          new RegExp(`name="${name}" value="([^"]+)"`).exec(markup)![1]!,
        ]),
      );
    const before = await read("/policy");
    const form = new URLSearchParams({
      ...hidden(before),
      how: "form",
      approvedEngines: "ollama\r\nvllm",
      exposure: "authenticated",
      modelGib: "16",
    });
    const [saved, again] = await Promise.all([post("/policy", form), post("/policy", form)]);
    expect([saved!.status, again!.status]).toEqual([303, 303]);
    const slower = new URLSearchParams({
      ...hidden(before),
      how: "json",
      policy: '{"bannedEngines":["jan"]}',
    });
    expect((await post("/policy", slower)).status).toBe(412);
    const after = await read("/policy");
    expect(hidden(after).version).toBe("1");
    expect(after).toContain("ollama\nvllm");
    const numbers = { heartbeatSeconds: "10", telemetryResolutionSeconds: "60", quietMinutes: "15" };
    const settings = {
      ...hidden(await read("/settings")),
      ...numbers,
      name: "Northwind",
      retentionDays: "200",
      isolationsPerHourMax: "0",
    };
    expect((await post("/settings", new URLSearchParams(settings))).headers.get("location")).toBe(
      "/settings?done=settings",
    );
    expect(await read("/settings")).toContain('value="Northwind"');
    expect(await read("/report")).toContain("for 200 days");
    const custody = (await (await fetch(`${edge.origin}/custody.json`, { headers: { cookie } })).json()) as {
      records: { action: string }[];
    };
    const changes = custody.records
      .map(({ action }) => action)
      .filter((action) => action.startsWith("change-"));
    expect(changes.sort()).toEqual(["change-policy", "change-settings"]);
    expect(await read("/report")).toContain("signed with the control key, and its signature is valid");
  });

  test("an administrator creates an enrolment token with a custody record, and a double click shows the same token", async () => {
    const markup = await (await fetch(`${edge.origin}/enrol`, { headers: { cookie } })).text();
    const hidden = (name: string) => new RegExp(`name="${name}" value="([^"]+)"`).exec(markup)![1]!;
    const form = new URLSearchParams({ csrf: hidden("csrf"), key: hidden("key"), uses: "5", days: "2" });
    const answers = await Promise.all([1, 2].map(() => post("/enrol", form)));
    const shown = await Promise.all(answers.map((answer) => answer.text()));
    const tokens = shown.map((page) => /<code>(eyJ[A-Za-z0-9._-]+)/.exec(page)![1]!);
    expect(answers.map(({ status }) => status)).toEqual([201, 201]);
    expect(tokens[0]).toBe(tokens[1]!);
    const claims = JSON.parse(Buffer.from(tokens[0]!.split(".")[1]!, "base64url").toString());
    expect(claims).toMatchObject({ tenant: TENANT, uses: 5 });
    expect(shown[0]).toContain(`enroll --url ${edge.origin} `);
    const later = await (await fetch(`${edge.origin}/enrol`, { headers: { cookie } })).text();
    expect(later).not.toContain(tokens[0]!);
    expect(later).toContain("0 of 5 uses");
    const custody = await (await fetch(`${edge.origin}/custody`, { headers: { cookie } })).text();
    expect(custody.match(/Create enrolment token(?!<\/option>)/g)).toHaveLength(1);
    expect(custody).toContain("match the head. The signature of the head is valid");
  });

  test("a token is revoked once, with a reason in the custody record", async () => {
    const page = async () => (await fetch(`${edge.origin}/enrol`, { headers: { cookie } })).text();
    const csrf = /name="csrf" value="([^"]+)"/.exec(await page())![1]!;
    const made = await post(
      "/enrol",
      new URLSearchParams({ csrf, key: "k".repeat(24), uses: "2", days: "1" }),
    );
    expect(made.status).toBe(201);
    const [, path, , key] =
      /action="(\/enrol\/[^"]+\/revoke)"[\s\S]*?name="csrf" value="([^"]+)"[\s\S]*?name="key" value="([^"]+)"/.exec(
        await made.text(),
      )!;
    const send = (more: Record<string, string>) =>
      post(path!, new URLSearchParams({ csrf, key: key!, ...more }));
    expect((await send({ justification: "x" })).status).toBe(400);
    expect((await send({ justification: "it was posted in a chat", csrf: "1.x" })).status).toBe(403);
    const done = await send({ justification: "it was posted in a chat" });
    expect([done.status, done.headers.get("location")]).toEqual([303, "/enrol?done=token-revoked"]);
    expect((await send({ justification: "it was posted in a chat" })).status).toBe(303);
    expect((await send({ justification: "another reason", key: "n".repeat(24) })).status).toBe(409);
    const log = await (
      await fetch(`${edge.origin}/custody.csv?action=revoke-enrolment-token`, { headers: { cookie } })
    ).text();
    expect(log.match(/it was posted in a chat/g)).toHaveLength(1);
    expect(await page()).not.toContain(path!);
  });
});
