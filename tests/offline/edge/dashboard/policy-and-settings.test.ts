import { beforeAll, describe, expect, test } from "bun:test";
import { jsonLines } from "../../../../edge/dashboard/policy/json-line-numbers.ts";
import { policyFromForm, policyFromJson } from "../../../../edge/dashboard/policy/policy-form.ts";
import { changeKey, csrfToken } from "../../../../edge/dashboard/session/csrf.ts";
import { sessionExpired } from "../../../../edge/dashboard/session/session-refresh.ts";
import { settingsFromForm } from "../../../../edge/dashboard/settings/settings-form.ts";
import { marshalItem } from "../../../../shared/table/dynamo.ts";
import { policy } from "../../../../shared/table/items/policy.ts";
import { tenantDefaults } from "../../../../shared/table/items/tenant.ts";
import { tenantKey } from "../../../../shared/table/keys.ts";
import { createIds, engineOf, itemsOf } from "../../../browser/seed.ts";
import { createWorld, ORIGIN, type World } from "./dashboard-world.ts";

const NOW_MS = Date.parse("2026-11-21T23:04:05.678Z");
const ADMIN = { tenantId: "org_a", userId: "user_mara", sessionId: "sess_1" };
const assetId = createIds(NOW_MS - 1e9)();
const TENANT = tenantDefaults("org_a");
const SETTINGS_FORM = {
  name: "Northwind",
  heartbeatSeconds: "5",
  telemetryResolutionSeconds: "60",
  quietMinutes: "15",
  retentionDays: "180",
  assetExpiryDays: "30",
  isolationsPerHourMax: "0",
  isolationNotice: "",
};

let world: World;
beforeAll(async () => {
  const tenant = { ...tenantKey("org_a"), ...TENANT, policyVersion: 4, settingsVersion: 2 };
  const host = {
    tenantId: "org_a",
    assetId,
    hostname: "calm",
    employeeId: "mara",
    os: "Debian",
    enrolledAtMs: NOW_MS,
    lastSeenAtMs: NOW_MS,
    states: [{ atMs: NOW_MS, engines: [engineOf()] }],
    findings: [
      {
        finding: {
          rule: "exposed-engine",
          engine: "ollama",
          engineName: "Ollama",
          risk: "CRITICAL" as const,
          points: 80,
          explanation: "It is open.",
        },
        openedAtMs: NOW_MS - 60_000,
      },
    ],
  };
  world = await createWorld([marshalItem(tenant), ...itemsOf(host)], NOW_MS);
});

const page = async (path: string, role = "admin") => (await world.get(path, {}, { role })).text();

async function post(path: string, more: Record<string, string>, { claims = {}, headers = {} } = {}) {
  const csrf = await csrfToken(ADMIN, world.deps);
  return world.app.request(ORIGIN + path, {
    method: "POST",
    headers: {
      cookie: `__session=${await world.session(claims)}`,
      origin: ORIGIN,
      "content-type": "application/x-www-form-urlencoded",
      ...headers,
    },
    body: new URLSearchParams({ csrf, ...more }).toString(),
  });
}
const keyed = async (action: string, version: number) => ({
  key: await changeKey(ADMIN, [action, version], world.deps),
  version: String(version),
});

describe("policyFromForm()", () => {
  const current = policy.parse({ agentVersionMin: "0.1.0", modelBytesMax: 1_234_567_890 });
  const form = { exposure: "authenticated", modelGib: "1.15" };

  test("replaces the fields of the form and keeps everything else", () => {
    const read = policyFromForm({ ...form, approvedEngines: " ollama \r\n\r\nvllm" }, current);
    expect(read).toMatchObject({
      ok: true,
      value: {
        approvedEngines: ["ollama", "vllm"],
        exposure: "authenticated",
        requireAuthentication: false,
        agentVersionMin: "0.1.0",
        modelBytesMax: 1_234_567_890,
      },
    });
  });

  test.each([
    ["an engine that is no id", { approvedEngines: "Ollama!" }],
    ["an unknown exposure", { exposure: "everybody" }],
    ["a size below zero", { modelGib: "-1" }],
    ["a size that is no number", { modelGib: "big" }],
  ])("rejects %s and names the field", (_name, more) => {
    const read = policyFromForm({ ...form, ...more }, current);
    expect(read.ok).toBe(false);
    const [wrong] = read.ok ? [] : read.wrong;
    expect(wrong!.where).toMatch(/^(approvedEngines|exposure|modelGib)$/);
  });

  test("reports the line of an invalid entry, counting blank lines", () => {
    const read = policyFromForm({ ...form, approvedEngines: "ollama\n\n\nnot an id\nvllm" }, current);
    expect(read.ok ? [] : read.wrong).toMatchObject([{ where: "approvedEngines", line: 4 }]);
  });
});

describe("jsonLines()", () => {
  test.each([
    ["", 1],
    ['{\n  "a": 1,\n}', 3],
    ['{\n  "a": [1, 2\n}', 3],
    ["{'a': 1}", 1],
    ['{"a": "x\ny"}', 1],
    ['{"a": 01}', 1],
    ["{} {}", 1],
    ['{"a": tru}', 1],
    [`${"[".repeat(40)}${"]".repeat(40)}`, 1],
  ])("finds the line of the syntax error in %j", (text, line) => {
    expect(jsonLines(text).fault).toBe(line);
  });

  test("accepts valid JSON and reports the line of each value", () => {
    const value = { a: [1, -2.5e3, '\u00e9\n"', null, true, { b: {} }], "c.d": "" };
    const { fault, lineOf } = jsonLines(JSON.stringify(value, null, 2));
    expect(fault).toBeUndefined();
    expect([lineOf(["a"]), lineOf(["a", 2]), lineOf(["a", 5, "b"]), lineOf(["c.d"])]).toEqual([2, 5, 9, 12]);
    expect(lineOf(["a", 6])).toBeUndefined();
  });
});

describe("policyFromJson()", () => {
  test("uses defaults for omitted fields", () =>
    expect(policyFromJson("{}")).toEqual({ ok: true, value: policy.parse({}) }));
  test.each(["", "{", "null", "[]", '{"approvedEngine":[]}', '{"exposure":"all"}', '{"modelBytesMax":-1}'])(
    "refuses %p",
    (text) => expect(policyFromJson(text).ok).toBe(false),
  );

  test("reports line and name of each invalid field, also of unknown ones", () => {
    const read = policyFromJson('{\n  "bannedEngines": [\n    "ollama",\n    "No!"\n  ],\n  "oops": 1\n}');
    expect(read.ok ? [] : read.wrong.map(({ line, words }) => [line, words.split(":")[0]])).toEqual([
      [4, "bannedEngines.1"],
      [6, "oops"],
    ]);
  });
});

test("the isolation form and the settings say whether engines are suspended or terminated", async () => {
  for (const [stopEnginesBy, told, untold] of [
    ["suspend", "A release resumes the processes.", "does not start them again."],
    ["terminate", "a release does not start them again.", "A release resumes the processes."],
  ] as const) {
    const items = world.table.items;
    const at = items.findIndex((item) => item.type?.S === "Tenant");
    const before = items[at]!;
    items[at] = { ...before, stopEnginesBy: { S: stopEnginesBy } };
    try {
      for (const role of ["admin", "responder"]) {
        const form = (await page(`/assets/${assetId}`, role)).split('id="isolate"')[1]!.replace(/\s+/g, " ");
        expect(form).toContain(told);
        expect(form).not.toContain(untold);
      }
      const box = /<input[^>]*name="terminateEngines"[^>]*>/.exec(await page("/settings"))![0];
      expect(box.includes("checked")).toBe(stopEnginesBy === "terminate");
    } finally {
      items[at] = before;
    }
  }
});

describe("settingsFromForm()", () => {
  const current = {
    name: "a",
    telemetryResolutionSeconds: 60,
    retentionDays: 180,
    quietPeriodSeconds: 900,
    heartbeatIntervalMs: 5000,
    clientDirectories: true,
    fourEyes: false,
    isolationsPerHourMax: 0,
    isolationNotice: "",
    stopEnginesBy: "suspend" as const,
    assetExpiryDays: 30,
  };
  test("converts minutes and seconds, and reads an unchecked box as off", () =>
    expect(settingsFromForm({ ...SETTINGS_FORM, heartbeatSeconds: "2.5" }, current)).toMatchObject({
      ok: true,
      value: {
        name: "Northwind",
        heartbeatIntervalMs: 2500,
        quietPeriodSeconds: 900,
        clientDirectories: false,
      },
    }));
  test("reads the second person, the hourly limit and the message, which becomes one line", () =>
    expect(
      settingsFromForm(
        { ...SETTINGS_FORM, fourEyes: "yes", isolationsPerHourMax: "12", isolationNotice: " Call\r\nIT " },
        current,
      ),
    ).toMatchObject({
      ok: true,
      value: { fourEyes: true, isolationsPerHourMax: 12, isolationNotice: "Call IT" },
    }));
  test("terminates engines only if the box is checked", () => {
    for (const [fields, stopEnginesBy] of [
      [{ terminateEngines: "yes" }, "terminate"],
      [{}, "suspend"],
      [{ terminateEngines: "no" }, "suspend"],
    ] as const)
      expect(settingsFromForm({ ...SETTINGS_FORM, ...fields }, current)).toMatchObject({
        ok: true,
        value: { stopEnginesBy },
      });
  });
  test.each([
    { heartbeatSeconds: "0.9" },
    { heartbeatSeconds: "601" },
    { retentionDays: "0" },
    { retentionDays: "3651" },
    { retentionDays: "" },
    { assetExpiryDays: "-1" },
    { assetExpiryDays: "3651" },
    { assetExpiryDays: "" },
    { quietMinutes: "-1" },
    { telemetryResolutionSeconds: "1.5" },
    { isolationsPerHourMax: "-1" },
    { isolationsPerHourMax: "" },
    { isolationNotice: "x".repeat(301) },
    { name: " " },
  ])("refuses %p", (more) => expect(settingsFromForm({ ...SETTINGS_FORM, ...more }, current).ok).toBe(false));
});

describe("policy and settings", () => {
  for (const path of ["/policy", "/settings"]) {
    test(`${path} has a form for administrators and is read-only for other roles`, async () => {
      expect(await page(path)).toContain(`method="post" action="${path}"`);
      for (const role of ["viewer", "analyst", "responder"]) {
        const markup = await page(path, role);
        expect(markup).not.toContain('name="csrf"');
        expect(markup).toContain("Your role is read-only");
      }
    });

    test(`a post to ${path} without permission, from another site or without a token is 403`, async () => {
      const body = { ...(await keyed("change", 4)), how: "json", policy: "{}" };
      expect((await post(path, body, { claims: { role: "responder" } })).status).toBe(403);
      expect((await post(path, body, { claims: { act: { sub: "support" } } })).status).toBe(403);
      expect((await post(path, body, { headers: { origin: "https://evil.test" } })).status).toBe(403);
      expect((await post(path, { ...body, csrf: "1.x" })).status).toBe(403);
      expect(world.asked).not.toContain("TransactWriteItems");
    });
  }

  test("an invalid policy is 400 with the line, and the form keeps its input", async () => {
    const body = { ...(await keyed("change-policy", 4)), how: "json", policy: '{"exposure":"<b>all</b>"}' };
    const answer = await post("/policy", body);
    expect(answer.status).toBe(400);
    const markup = await answer.text();
    expect(markup).toContain("line 1: ");
    expect(markup).toContain("exposure: ");
    expect(markup).toContain("&lt;b&gt;all&lt;/b&gt;");
    expect(world.asked).not.toContain("TransactWriteItems");
  });

  test("a change of an outdated version is 412 and keeps the input", async () => {
    const typed = '{"bannedEngines":["ollama"]}';
    const answer = await post("/policy", {
      ...(await keyed("change-policy", 3)),
      how: "json",
      policy: typed,
    });
    expect(answer.status).toBe(412);
    const markup = await answer.text();
    expect(markup).toContain("another user saved a change after you opened this page");
    expect(markup).toContain("{&quot;bannedEngines&quot;:[&quot;ollama&quot;]}");
    expect(markup).toContain('name="version" value="4"');
    const settings = await post("/settings", { ...(await keyed("change-settings", 1)), ...SETTINGS_FORM });
    expect(settings.status).toBe(412);
    expect(world.asked).not.toContain("TransactWriteItems");
  });

  test("an unchanged policy is not written", async () => {
    const body = { ...(await keyed("change-policy", 4)), how: "json", policy: "{}" };
    expect((await post("/policy", body)).headers.get("location")).toBe("/policy?done=same");
    expect(world.asked).not.toContain("TransactWriteItems");
  });
});

describe("acknowledging several incidents", () => {
  const id = `${assetId}.exposed-engine.ollama`;

  test("only users who handle incidents see checkboxes", async () => {
    expect(await page("/incidents", "analyst")).toContain(`name="${id}"`);
    const markup = await page("/incidents", "viewer");
    expect(markup).not.toContain('type="checkbox"');
    expect(markup).not.toContain('name="csrf"');
  });

  test("no selection, more than thirty, or an invalid id is rejected and changes nothing", async () => {
    expect((await post("/incidents/acknowledge", {})).status).toBe(400);
    const many = Object.fromEntries(
      Array.from({ length: 31 }, (_, i) => [`${assetId}.rule-${i}.ollama`, "2026-11-21T23:03:05.678Z"]),
    );
    expect((await post("/incidents/acknowledge", many)).status).toBe(400);
    expect((await post("/incidents/acknowledge", { "not-one": "x" })).status).toBe(400);
    expect((await post("/incidents/acknowledge", { [id]: "x" }, { claims: { role: "viewer" } })).status).toBe(
      403,
    );
    expect(world.asked).not.toContain("TransactWriteItems");
  });
});

describe("a session with an expired token", () => {
  const old = async () => `__session=${await world.session()}`;
  const later = async <T>(ask: () => Promise<T>): Promise<T> => {
    world.clock.nowMs += 2 * 3600_000;
    try {
      return await ask();
    } finally {
      world.clock.nowMs = NOW_MS;
    }
  };

  test("is renewed at the provider by one redirect that returns to the page", async () => {
    const cookie = await old();
    const path = "/incidents?risk=CRITICAL";
    const answer = await later(async () => world.app.request(ORIGIN + path, { headers: { cookie } }));
    expect(answer.status).toBe(302);
    const to = new URL(answer.headers.get("location")!);
    expect(to.origin + to.pathname).toBe(world.deps.admin.signInUrl);
    expect(to.searchParams.get("redirect_url")).toBe(ORIGIN + path);
    const mark = answer.headers.get("set-cookie")!.split(";")[0]!;
    const again = await later(async () =>
      world.app.request(ORIGIN + path, { headers: { cookie: `${cookie}; ${mark}` } }),
    );
    expect(again.headers.get("location")).toStartWith("/sign-in?return=");
  });

  test("a poll gets 401 with a header for expired tokens, and a form leads to sign-in", async () => {
    const cookie = await old();
    const live = await later(async () =>
      world.app.request(`${ORIGIN}/`, { headers: { cookie, "x-lz-live": "1" } }),
    );
    expect(live.status).toBe(401);
    expect(live.headers.get("x-lz-expired")).toBe("1");
    const form = await later(async () =>
      world.app.request(`${ORIGIN}/settings`, { method: "POST", headers: { cookie, origin: ORIGIN } }),
    );
    expect(form.headers.get("location")).toBe("/sign-in?return=%2Fsettings&sent=");
  });

  test("sessionExpired() is true only for an expired token", async () => {
    const of = (cookie: string) => sessionExpired(new Request(ORIGIN, { headers: { cookie } }), NOW_MS);
    const token = (payload: string) => `__session=a.${Buffer.from(payload).toString("base64url")}.c`;
    expect(of(token(JSON.stringify({ exp: NOW_MS / 1000 - 1 })))).toBe(true);
    expect(of(await old())).toBe(false);
    for (const odd of [
      "",
      "__session=abc",
      "__session=a.!.c",
      token("{"),
      token("null"),
      token('{"exp":"1"}'),
    ])
      expect(of(odd)).toBe(false);
  });

  test("switching the organisation works with a session and returns only to this site", async () => {
    const markup = await page("/sign-in?switch&return=//evil.test");
    expect(markup).toContain("Choose an organisation");
    expect(markup).not.toContain("evil");
  });
});
