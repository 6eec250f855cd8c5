import { beforeAll, describe, expect, test } from "bun:test";
import { Commands } from "../../../../edge/dashboard/enrolment/install-commands.tsx";
import { changeKey, csrfToken, isSameSite } from "../../../../edge/dashboard/session/csrf.ts";
import { timestamp } from "../../../../shared/time/clock.ts";
import { createIds, engineOf, type Host, itemsOf } from "../../../browser/seed.ts";
import { createWorld, ORIGIN, type World } from "./dashboard-world.ts";

const NOW_MS = Date.parse("2026-11-21T23:04:05.678Z");
const HOSTILE = "<img src=x onerror=alert(1)>";

const CSP =
  "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; font-src 'self'; " +
  "form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; " +
  "trusted-types lz-live";

const nextId = createIds(NOW_MS - 1e9);
const mine = nextId();
const isolated = nextId();
const foreign = nextId();

const hostile = engineOf({
  name: HOSTILE,
  executable: `/tmp/${HOSTILE}`,
  user: HOSTILE,
  parents: [HOSTILE],
  bind: ["0.0.0.0"],
  models: [{ name: HOSTILE, loaded: true, licence: HOSTILE, publisher: HOSTILE, quantisation: "<b>" }],
  clients: [{ name: HOSTILE, directory: HOSTILE, connections: 1 }],
  evidence: [{ signal: "http", detail: HOSTILE, weight: 60 }],
});

const host = (more: Partial<Host>): Host => ({
  tenantId: "org_a",
  assetId: mine,
  hostname: HOSTILE,
  employeeId: "mara",
  os: HOSTILE,
  enrolledAtMs: NOW_MS - 86_400_000,
  lastSeenAtMs: NOW_MS - 3000,
  states: [
    { atMs: NOW_MS - 7_200_000, engines: [] },
    {
      atMs: NOW_MS - 3_600_000,
      engines: [hostile],
      score: 80,
      collectors: [{ name: "weights", status: "failed", detail: HOSTILE }],
    },
  ],
  findings: [
    {
      finding: {
        rule: "exposed-engine",
        engine: "ollama",
        engineName: HOSTILE,
        risk: "CRITICAL",
        points: 80,
        explanation: HOSTILE,
      },
      openedAtMs: NOW_MS - 3_600_000,
    },
  ],
  ...more,
});

const wish = {
  generation: 1,
  action: "isolate" as const,
  mode: "network" as const,
  requestedAt: timestamp(NOW_MS - 60_000),
  expiresAt: timestamp(NOW_MS + 86_400_000),
  directive: "never-shown",
};

const HOSTS = [
  host({}),
  host({
    assetId: isolated,
    hostname: "calm",
    os: "Debian",
    containment: { status: "ISOLATED", generation: 1, wish },
  }),
  host({ tenantId: "org_b", assetId: foreign, hostname: "foreign-host", employeeId: "foreign-person" }),
];

const PAGES = [
  "/",
  "/incidents",
  "/incidents?risk=CRITICAL&q=img",
  "/assets",
  "/assets?q=img&state=collectors",
  `/assets/${mine}`,
  `/incidents/${mine}.exposed-engine.ollama`,
  `/assets/${isolated}`,
  `/assets/${isolated}?done=isolate`,
  "/inventory",
  "/employees",
  "/employees/mara",
  "/custody",
  "/report",
  "/report?from=2026-11-01&to=2026-11-30",
  "/policy",
  "/settings",
  "/enrol",
];
const FAILURES = [
  "/nowhere/assets",
  "/assets/not-an-id",
  "/incidents/not.an.id",
  "/assets?state=%3Cb%3E",
  "/incidents?cursor=abc&risk=WARNING",
  "/report?from=2026-11-30&to=2026-11-01",
  "/report?from=2026-02-30",
  "/assets.csv?state=%3Cb%3E",
  "/assets.xml",
];

let world: World;
beforeAll(async () => {
  world = await createWorld(HOSTS.flatMap(itemsOf), NOW_MS);
});

const page = async (path: string, role = "admin") => (await world.get(path, {}, { role })).text();

describe("every page", () => {
  test.each(PAGES)("%s has exactly the policy and headers of a page", async (path) => {
    const answer = await world.get(path);
    expect(answer.status).toBe(200);
    expect(answer.headers.get("content-security-policy")).toBe(CSP);
    expect(answer.headers.get("content-type")).toBe("text/html; charset=utf-8");
    expect(answer.headers.get("cache-control")).toBe("no-store");
    expect(answer.headers.get("x-frame-options")).toBe("DENY");
    expect(answer.headers.get("x-content-type-options")).toBe("nosniff");
    expect(answer.headers.get("referrer-policy")).toBe("same-origin");
    expect(answer.headers.get("cross-origin-opener-policy")).toBe("same-origin");
  });

  test.each([...PAGES, "/sign-in"])("%s holds no inline script, style or handler", async (path) => {
    const markup = await (path === "/sign-in"
      ? await world.app.request(ORIGIN + path)
      : await world.get(path)
    ).text();
    expect(markup).not.toMatch(/<style[\s>]/i);
    expect(markup).not.toMatch(/<script(?![^>]*\ssrc=)[^>]*>/i);
    const tags = markup.replace(/"[^"]*"/g, '""').match(/<[a-z][^>]*>/gi)!;
    for (const tag of tags) expect(tag).not.toMatch(/\s(style|on[a-z]+)\s*=/i);
  });

  test.each(PAGES)("%s keeps hostile names inert", async (path) => {
    const markup = await page(path);
    expect(markup).not.toContain("<img src=x");
    expect(markup).not.toMatch(/<b>/);
  });

  test("hostile names are shown, as text", async () => {
    expect(await page(`/assets/${mine}`)).toContain("&lt;img src=x onerror=alert(1)&gt;");
    expect(await page("/")).toContain("&lt;img src=x onerror=alert(1)&gt;");
  });

  test.each(PAGES)("%s shows nothing of another organisation", async (path) => {
    const markup = await page(path);
    expect(markup).not.toContain("foreign");
    expect(markup).not.toContain(foreign);
    expect(markup).not.toContain("never-shown");
  });

  test.each(PAGES)("%s without a session leads to sign-in and back", async (path) => {
    const answer = await world.app.request(ORIGIN + path);
    expect(answer.status).toBe(302);
    const to = new URL(answer.headers.get("location")!, ORIGIN);
    expect(to.pathname).toBe("/sign-in");
    expect(to.searchParams.get("return") ?? "/").toBe(path);
  });

  test("a poll without a session gets 401 and no redirect", async () => {
    const answer = await world.app.request(`${ORIGIN}/`, { headers: { "x-lz-live": "1" } });
    expect(answer.status).toBe(401);
  });

  test("is under 50 KB compressed", async () => {
    for (const path of PAGES) expect(Bun.gzipSync(await page(path)).length).toBeLessThan(50_000);
  });
});

describe("failures are pages too", () => {
  test.each(FAILURES)("%s is 4xx with the policy of a page", async (path) => {
    const answer = await world.get(path, { accept: "text/html" });
    expect(answer.status).toBeGreaterThanOrEqual(400);
    expect(answer.status).toBeLessThan(500);
    expect(answer.headers.get("content-security-policy")).toBe(CSP);
    expect(await answer.text()).toContain("Go to the overview");
  });

  test("a host of another organisation is 404 like an unknown one", async () => {
    expect((await world.get(`/assets/${foreign}`)).status).toBe(404);
    expect((await world.get(`/assets/${nextId()}`)).status).toBe(404);
  });

  test("a cursor of another organisation is rejected", async () => {
    const key = { PK: "TENANT#org_b", SK: `ASSET#${foreign}` };
    const cursor = Buffer.from(JSON.stringify(key)).toString("base64url");
    expect((await world.get(`/assets?cursor=${cursor}`)).status).toBe(400);
  });

  test("an unavailable table is 503 with Retry-After and without the cause", async () => {
    const other = await createWorld([], NOW_MS);
    other.table.broken = true;
    const answer = await other.get("/");
    expect(answer.status).toBe(503);
    expect(answer.headers.get("retry-after")).toBe("5");
    expect(answer.headers.get("content-security-policy")).toBe(CSP);
    expect(await answer.text()).not.toMatch(/dynamo|InternalServerError/i);
  });

  test("an organisation role without access is 403, with a way to sign out", async () => {
    const answer = await world.get("/", {}, { role: "billing" });
    expect(answer.status).toBe(403);
    expect(await answer.text()).toContain('action="/sign-out"');
  });

  const failed: [name: string, ask: () => Promise<Response>, words: string[]][] = [
    ["not found", () => world.get(`/assets/${foreign}`), ['href="/assets"', "another organisation"]],
    [
      "no permission",
      () => world.get("/integrations/some", {}, { role: "viewer" }),
      ["role", "viewer", "administrator"],
    ],
    ["no organisation role", () => world.get("/", {}, { role: "billing" }), ["/sign-in?switch"]],
    ["an invalid filter", () => world.get("/incidents?risk=none"), ["filter"]],
    [
      "an unavailable table",
      async () => {
        const other = await createWorld([], NOW_MS);
        other.table.broken = true;
        return other.get("/assets?state=silent");
      },
      ['href="/assets?state=silent"', "Reload", "isolated"],
    ],
    [
      "a form from another site",
      async () =>
        world.app.request(`${ORIGIN}/assets/${mine}/isolate`, {
          method: "POST",
          headers: { cookie: `__session=${await world.session()}`, origin: "https://evil.example" },
        }),
      [`href="/assets/${mine}"`, "Nothing was changed"],
    ],
  ];
  test.each(failed)(
    "%s: the page has cause, advice, a link and the request id",
    async (_name, ask, words) => {
      const answer = await ask();
      const markup = await answer.text();
      for (const part of words) expect(markup).toContain(part);
      expect(markup).toContain(`<code>${answer.headers.get("x-request-id")}</code>`);
      expect(markup).toMatch(/<a class="button[^"]*" href=/);
      expect(markup).toContain(`${answer.status}</p>`);
    },
  );

  test("each failure is counted by its code, and a successful page is not", async () => {
    const counted: string[] = [];
    const { instruments } = world.deps;
    world.deps.instruments = { ...instruments, refused: (code) => void counted.push(code) };
    try {
      await world.get("/assets");
      await world.get(`/assets/${foreign}`);
      const headers = { cookie: `__session=${await world.session()}`, origin: "https://evil.example" };
      await world.app.request(`${ORIGIN}/assets/${mine}/isolate`, { method: "POST", headers });
    } finally {
      world.deps.instruments = instruments;
    }
    expect(counted).toEqual(["admin.not-found", "admin.cross-site"]);
  });

  test("an error page for a GET request does not mention changes", async () => {
    expect(await (await world.get(`/assets/${foreign}`)).text()).not.toContain("Nothing was changed");
  });

  test("an error page for a failed form post does not claim that nothing was changed", async () => {
    const other = await createWorld(HOSTS.flatMap(itemsOf), NOW_MS);
    const cookie = `__session=${await other.session()}`;
    const form = await (await other.get(`/assets/${mine}`)).text();
    const hidden = [...form.matchAll(/type="hidden" name="(csrf|key)" value="([^"]+)"/g)];
    const body = new URLSearchParams(hidden.slice(0, 2).map(([, name, value]) => [name!, value!]));
    for (const [name, value] of [
      ["mode", "observe"],
      ["justification", "INC-1"],
      ["confirm", "yes"],
    ] as const)
      body.set(name, value);
    other.table.broken = true;
    const headers = { cookie, origin: ORIGIN, "content-type": "application/x-www-form-urlencoded" };
    const request = { method: "POST", headers, body: body.toString() };
    const answer = await other.app.request(`${ORIGIN}/assets/${mine}/isolate`, request);
    expect(answer.status).toBe(503);
    const markup = await answer.text();
    expect(markup).not.toContain("Nothing was changed");
    expect(markup).toContain("It is unknown whether the change was saved");
    expect(markup).toContain(`href="/assets/${mine}"`);
  });

  test("an organisation without hosts gets pages with empty states", async () => {
    const empty = await createWorld([], NOW_MS);
    for (const path of ["/", "/incidents", "/assets", "/inventory", "/employees", "/custody"]) {
      const answer = await empty.get(path);
      expect(answer.status).toBe(200);
      expect(await answer.text()).toContain('class="empty"');
    }
  });
});

describe("polling", () => {
  test("an unchanged page returns 304 without a body, although its times change", async () => {
    const first = await world.get("/", { "x-lz-live": "1" });
    const tag = first.headers.get("etag")!;
    world.clock.nowMs += 2000;
    const second = await world.get("/", { "x-lz-live": "1", "if-none-match": tag });
    world.clock.nowMs = NOW_MS;
    expect(second.status).toBe(304);
    expect(await second.text()).toBe("");
  });

  test("a changed page is returned in full", async () => {
    const own = await createWorld(HOSTS.flatMap(itemsOf), NOW_MS);
    const tag = (await own.get("/incidents", { "x-lz-live": "1" })).headers.get("etag")!;
    own.table.items.push(...itemsOf(host({ assetId: nextId(), hostname: "another" })));
    const next = await own.get("/incidents", { "x-lz-live": "1", "if-none-match": tag });
    expect(next.status).toBe(200);
    expect(await next.text()).toContain("another");
  });

  test("style and scripts have a content hash in their URL and may be cached forever", async () => {
    const markup = await page("/");
    for (const [, url] of markup.matchAll(/(?:href|src)="(\/static\/[^"]+)"/g)) {
      const answer = await world.app.request(ORIGIN + url);
      expect(answer.status).toBe(200);
      expect(answer.headers.get("cache-control")).toContain("immutable");
    }
    expect(markup).toMatch(/\/static\/style\.[0-9a-f]{16}\.css/);
    expect((await world.app.request(`${ORIGIN}/static/style.0000000000000000.css`)).status).toBe(404);
  });
});

describe("sign-in", () => {
  const returnOf = async (wanted: string) => {
    const markup = await (
      await world.app.request(`${ORIGIN}/sign-in?return=${encodeURIComponent(wanted)}`)
    ).text();
    const address = new URL(/href="(http:[^"]+)"/.exec(markup)![1]!.replaceAll("&amp;", "&"));
    expect(address.origin + address.pathname).toBe(world.deps.admin.signInUrl);
    return address.searchParams.get("redirect_url");
  };

  test("returns to a path of this site", async () => {
    expect(await returnOf("/incidents?risk=CRITICAL")).toBe(`${ORIGIN}/incidents?risk=CRITICAL`);
  });

  test.each([
    "https://evil.test/",
    "//evil.test/",
    "/\\evil.test",
    "\\\\evil.test",
    "/\t/evil.test",
    "/%09/../\n//evil.test",
    "javascript:alert(1)",
    "/..//evil.test",
    "/.//evil.test",
    "/sign-in?return=/sign-in",
    "/sign-out",
    `/${"a".repeat(600)}`,
    "",
  ])("never returns to another site: %p", async (wanted) => {
    expect(await returnOf(wanted)).toBe(`${ORIGIN}/`);
  });

  test("a signed-in user is redirected, to this site only", async () => {
    expect((await world.get("/sign-in?return=/assets")).headers.get("location")).toBe("/assets");
    expect((await world.get("/sign-in?return=//evil.test")).headers.get("location")).toBe("/");
  });

  test("a forged host header does not change the return address", async () => {
    const answer = await world.app.request("http://evil.test/sign-in?return=/assets");
    expect(await answer.text()).toContain(encodeURIComponent(`${ORIGIN}/assets`));
  });

  test("sign-out clears the cookie, and only for a same-origin form", async () => {
    const out = (origin: string) =>
      world.app.request(`${ORIGIN}/sign-out`, { method: "POST", headers: { origin } });
    const answer = await out(ORIGIN);
    expect(answer.status).toBe(303);
    expect(answer.headers.get("set-cookie")).toMatch(
      /^__session=; Max-Age=0; HttpOnly; Path=\/; SameSite=Lax/,
    );
    expect((await out("https://evil.test")).status).toBe(403);
  });
});

describe("enrolling", () => {
  const enrol = async (body: Record<string, string>, role = "admin") =>
    world.app.request(`${ORIGIN}/enrol`, {
      method: "POST",
      headers: {
        cookie: `__session=${await world.session({ role })}`,
        origin: ORIGIN,
        "content-type": "application/x-www-form-urlencoded",
      },
      body: new URLSearchParams(body).toString(),
    });
  const csrfIn = async (role = "admin") =>
    /name="csrf" value="([^"]+)"/.exec(await page("/enrol", role))?.[1];

  test("only administrators see the form and get a token", async () => {
    expect(await csrfIn("responder")).toBeUndefined();
    const csrf = (await csrfIn())!;
    expect((await enrol({ csrf, key: "k".repeat(24), uses: "1", days: "1" }, "responder")).status).toBe(403);
    expect((await enrol({ csrf: "1.x", uses: "1", days: "1" })).status).toBe(403);
  });

  test.each([
    ["0", "1"],
    ["100001", "1"],
    ["1", "91"],
    ["1.5", "1"],
    ["x", "1"],
  ])("%s uses for %s days creates no token", async (uses, days) => {
    const answer = await enrol({ csrf: (await csrfIn())!, key: "k".repeat(24), uses, days });
    expect(answer.status).toBe(400);
    expect(await answer.text()).not.toContain("--token");
  });

  const commands = (agentDownloadUrl?: string) =>
    String(
      Commands({
        issued: { token: "a.secret.token", tokenId: "T", expiresAt: "2026-12-01T00:00:00.000Z", uses: 2 },
        origin: "https://lz.example",
        downloadUrl: agentDownloadUrl,
      }),
    );

  test("the commands of each system name the employee and never contain the token", () => {
    const markup = commands("https://files.example/agent");
    for (const system of ["Linux", "macOS", "Windows"]) expect(markup).toContain(`<summary>${system}`);
    expect(markup.match(/--employee EMPLOYEE/g)).toHaveLength(3);
    expect(markup.match(/a\.secret\.token/g)).toHaveLength(1);
    expect(markup).not.toMatch(/--token[ =]/);
    for (const part of ["sha256sum -c", "shasum -a 256 -c", "Get-FileHash"]) expect(markup).toContain(part);
    expect(markup.match(/https:\/\/files\.example\/agent\n/g)).toHaveLength(2);
    expect(markup).toContain("$from = &#39;https://files.example/agent&#39;");
    expect(markup.match(/\$from\/SHA256SUMS/g)).toHaveLength(3);
  });

  test("without a download address, the page says how to build and verify the agent", () => {
    const markup = commands();
    expect(markup).toContain("bun run build:agent --all");
    expect(markup).toContain("lz-agent-linux-arm64");
    expect(markup).not.toContain("curl");
  });
});

test("the page has a request that creates the SIEM key, and links to its description", async () => {
  const markup = await page("/integrations");
  expect(markup).toContain(`curl -X POST &quot;${ORIGIN}/v1/api-keys&quot;`);
  expect(markup).toContain('href="/reference#api-keys"');
  expect(await (await world.app.request(`${ORIGIN}/reference`)).text()).toContain('id="api-keys"');
});

describe("the forms", () => {
  const ADMIN = { tenantId: "org_a", userId: "user_mara", sessionId: "sess_1" };
  const change = ["isolate", mine, 0];

  async function fields(more: Record<string, string> = {}) {
    const csrf = await csrfToken(ADMIN, world.deps);
    const key = await changeKey(ADMIN, change, world.deps);
    return { csrf, key, mode: "observe", justification: "because of INC-1", confirm: "yes", ...more };
  }

  async function post(
    body: Record<string, string> | string,
    {
      claims = {},
      headers = {},
      to = `/assets/${mine}/isolate`,
    }: { claims?: object; headers?: object; to?: string } = {},
  ) {
    const cookie = `__session=${await world.session(claims)}`;
    const type = { "content-type": "application/x-www-form-urlencoded" };
    return world.app.request(ORIGIN + to, {
      method: "POST",
      headers: { cookie, origin: ORIGIN, ...type, ...headers },
      body: typeof body === "string" ? body : new URLSearchParams(body).toString(),
    });
  }

  const expectRefused = async (answer: Response | Promise<Response>, status: number) => {
    expect((await answer).status).toBe(status);
    expect(world.asked).not.toContain("TransactWriteItems");
  };

  test("only users who may respond see a form", async () => {
    for (const role of ["admin", "responder"])
      expect(await page(`/assets/${mine}`, role)).toContain('id="isolate"');
    for (const role of ["viewer", "analyst", "member"]) {
      for (const id of [mine, isolated]) {
        const markup = await page(`/assets/${id}`, role);
        expect(markup).not.toContain('method="post" action="/assets');
        expect(markup).not.toContain('name="csrf"');
      }
    }
    const acting = await (await world.get(`/assets/${mine}`, {}, { act: { sub: "support" } })).text();
    expect(acting).not.toContain('name="csrf"');
  });

  test("a post by a viewer or an impersonated session is 403", async () => {
    await expectRefused(post(await fields(), { claims: { role: "viewer" } }), 403);
    await expectRefused(post(await fields(), { claims: { act: { sub: "support" } } }), 403);
  });

  test("without a token, or with a wrong one, is 403", async () => {
    const { csrf, ...without } = await fields();
    await expectRefused(post(without), 403);
    await expectRefused(post(await fields({ csrf: "" })), 403);
    await expectRefused(post(await fields({ csrf: `${csrf.slice(0, -2)}AA` })), 403);
    const [expiry, mac] = csrf.split(".");
    await expectRefused(post(await fields({ csrf: `${Number(expiry) + 3600}.${mac}` })), 403);
  });

  test("the token of another session, person or organisation is 403", async () => {
    for (const other of [{ sessionId: "sess_2" }, { userId: "user_eve" }, { tenantId: "org_b" }]) {
      const csrf = await csrfToken({ ...ADMIN, ...other }, world.deps);
      await expectRefused(post(await fields({ csrf })), 403);
    }
  });

  test("an expired token is 403", async () => {
    const old = await fields();
    world.clock.nowMs += 3 * 3600_000 + 1000;
    await expectRefused(post(old), 403);
    world.clock.nowMs = NOW_MS;
  });

  test("from another site, or from none, is 403", async () => {
    const form = await fields();
    for (const origin of ["https://evil.test", "null", `${ORIGIN}:8080`, ORIGIN.replace("http", "https")]) {
      await expectRefused(post(form, { headers: { origin } }), 403);
    }
    for (const site of ["cross-site", "same-site", "none"]) {
      await expectRefused(post(form, { headers: { "sec-fetch-site": site } }), 403);
    }
  });

  test("isSameSite() accepts only same-origin requests of browsers", () => {
    const siteOf = (...parties: string[]) => ({ admin: { parties } });
    const request = (headers: Record<string, string>) =>
      new Request(`${ORIGIN}/x`, { method: "POST", headers });
    expect(isSameSite(request({ origin: ORIGIN, "sec-fetch-site": "same-origin" }), siteOf())).toBe(true);
    expect(isSameSite(request({ origin: ORIGIN }), siteOf())).toBe(true);
    expect(isSameSite(request({ origin: "https://console.test" }), siteOf("https://console.test"))).toBe(
      true,
    );
    expect(isSameSite(request({}), siteOf())).toBe(false);
    expect(isSameSite(request({ origin: ORIGIN, "sec-fetch-site": "cross-site" }), siteOf())).toBe(false);
  });

  test("without a session a form leads to sign-in and back to its page, and changes nothing", async () => {
    const answer = await world.app.request(`${ORIGIN}/assets/${mine}/isolate`, {
      method: "POST",
      headers: { origin: ORIGIN, "content-type": "application/x-www-form-urlencoded" },
      body: new URLSearchParams(await fields()).toString(),
    });
    expect(answer.status).toBe(303);
    const back = new URLSearchParams({ return: `/assets/${mine}`, sent: "" });
    expect(answer.headers.get("location")).toBe(`/sign-in?${back}`);
  });

  test("another media type, a repeated field and a body beyond the limit are rejected", async () => {
    const form = await fields();
    await expectRefused(post(JSON.stringify(form), { headers: { "content-type": "application/json" } }), 400);
    const twice = `${new URLSearchParams(form)}&mode=network`;
    await expectRefused(post(twice), 400);
    await expectRefused(post({ ...form, justification: "x".repeat(96 * 1024) }), 413);
    await expectRefused(post({ ...form, tenantId: "org_b" }), 400);
  });

  test.each([
    ["no justification", { justification: "  \n " }],
    ["a justification of two characters", { justification: "ok" }],
    ["one of 1001", { justification: "x".repeat(1001) }],
    ["an override character", { justification: "because \u202e of" }],
    ["no confirmation", { confirm: "no" }],
    ["an unknown mode", { mode: "burn" }],
  ])("%s: 400, nothing changed, and the form keeps its input", async (_name, more) => {
    const answer = await post(await fields({ justification: "kept <text>", ...more }));
    expect(answer.status).toBe(400);
    const markup = await answer.text();
    expect(markup).toContain("Nothing was changed");
    if (!("justification" in more)) expect(markup).toContain("kept &lt;text&gt;");
    expect(world.asked).not.toContain("TransactWriteItems");
  });

  test("incident forms have the same guards and need the permission to handle incidents", async () => {
    const path = `/incidents/${mine}.exposed-engine.ollama`;
    for (const role of ["admin", "responder", "analyst"])
      expect(await page(path, role)).toContain('name="csrf"');
    expect(await page(path, "viewer")).not.toContain('name="csrf"');
    const { csrf, key } = await fields();
    for (const action of ["acknowledge", "resolve"]) {
      const to = `${path}/${action}`;
      const body: Record<string, string> =
        action === "resolve" ? { csrf, key, justification: "false alarm" } : { csrf, key };
      await expectRefused(post(body, { to, claims: { role: "viewer" } }), 403);
      await expectRefused(post({ ...body, csrf: "" }, { to }), 403);
      await expectRefused(post(body, { to, headers: { origin: "https://evil.test" } }), 403);
      const elsewhere = `/incidents/${foreign}.exposed-engine.ollama/${action}`;
      await expectRefused(post(body, { to: elsewhere }), 404);
    }
    for (const justification of ["", "ok", "x".repeat(201)]) {
      await expectRefused(post({ csrf, key, justification }, { to: `${path}/resolve` }), 400);
    }
  });

  test("an asset of another organisation is 404", async () => {
    await expectRefused(post(await fields(), { to: `/assets/${foreign}/isolate` }), 404);
  });

  test("isolating an isolated host is 409 and shows its state", async () => {
    const answer = await post(await fields(), { to: `/assets/${isolated}/isolate` });
    await expectRefused(answer, 409);
    const markup = await answer.text();
    expect(markup).toContain("the asset is already ISOLATED");
    expect(markup).toContain("Treat the host as unrestricted");
  });

  test("the idempotency key of a form changes only with the generation", async () => {
    const keyIn = async (path: string) => /name="key" value="([^"]+)"/.exec(await page(path))?.[1];
    expect(await keyIn(`/assets/${mine}`)).toBe((await keyIn(`/assets/${mine}`))!);
    const next = await changeKey(ADMIN, ["isolate", mine, 1], world.deps);
    expect(next).not.toBe(await changeKey(ADMIN, change, world.deps));
  });
});
