import { beforeAll, describe, expect, test } from "bun:test";
import { createApp } from "../../../../edge/app.ts";
import { readConfig } from "../../../../edge/config.ts";
import { csrfToken } from "../../../../edge/dashboard/session/csrf.ts";
import { createWorld, type World } from "../dashboard/dashboard-world.ts";

const NOW_MS = Date.parse("2026-11-21T23:04:05.678Z");
const PUBLIC = "https://lz.example.com";
/** Origin of requests that an edge sees behind a proxy that terminates TLS. */
const INSIDE = "http://10.0.0.5:8787";
/** Headers that a proxy or an attacker can set. */
const FORWARDED = {
  "x-forwarded-proto": "http",
  "x-forwarded-host": "evil.example",
  forwarded: "proto=http;host=evil.example",
  "x-original-host": "evil.example",
};

let world: World;
beforeAll(async () => {
  world = await createWorld([], NOW_MS);
  world.deps.publicOrigin = PUBLIC;
  world.app = createApp(world.deps);
});

const ask = async (
  path: string,
  init: { method?: string; headers?: Record<string, string>; body?: string } = {},
) => world.app.request(INSIDE + path, { ...init, headers: { ...FORWARDED, ...init.headers } });
const asMara = async (
  path: string,
  init: { method?: string; headers?: Record<string, string>; body?: string } = {},
) => ask(path, { ...init, headers: { cookie: `__session=${await world.session()}`, ...init.headers } });
const HANDSHAKE_URL = "https://clerk.example.com/v1/client/handshake";
const withHandshake = async <T>(run: () => Promise<T>): Promise<T> => {
  world.deps.admin.handshakeUrl = HANDSHAKE_URL;
  try {
    return await run();
  } finally {
    delete world.deps.admin.handshakeUrl;
  }
};

describe("behind a proxy that ends TLS", () => {
  test("every cookie is Secure: at the redirect to sign-in, at the return, after sign-out, and on expiry", () =>
    withHandshake(async () => {
      const session = await world.session();
      const away = await ask("/assets", { headers: { cookie: "__client_uat=1700000000" } });
      const state = /lz_refreshing=([^;]*)/.exec(away.headers.getSetCookie().join())![1];
      const handshake = await world.sign({ handshake: [`__session=${session}; Path=/`] });
      const back = await ask(`/assets?lz_state=${state}&__clerk_handshake=${handshake}`, {
        headers: { cookie: `__Host-lz_refreshing=${state}` },
      });
      const out = await asMara("/sign-out", { method: "POST", headers: { origin: PUBLIC } });
      const again = await ask("/sign-in?back=&return=%2F", { headers: { cookie: "lz_signed_out=1" } });
      expect([away.status, back.status, out.status, again.status]).toEqual([307, 302, 303, 307]);
      const cookies = [away, back, out, again].flatMap((answer) => answer.headers.getSetCookie());
      expect(cookies.length).toBeGreaterThan(8);
      for (const cookie of cookies) expect(cookie).toEndWith("; Path=/; SameSite=Lax; Secure");
    }));

  test("a state cookie set by a sibling domain signs no user in", () =>
    withHandshake(async () => {
      const attackers = await world.session({ tenantId: "org_evil" });
      const handshake = await world.sign({ handshake: [`__session=${attackers}; Path=/`] });
      const path = `/?lz_state=planted&__clerk_handshake=${handshake}`;
      for (const name of ["lz_refreshing", "x__Host-lz_refreshing", "__host-lz_refreshing"]) {
        const answer = await ask(path, { headers: { cookie: `${name}=planted` } });
        expect(answer.headers.getSetCookie().join()).not.toContain("__session=");
      }
      const own = await ask(path, { headers: { cookie: "__Host-lz_refreshing=planted" } });
      expect(own.headers.getSetCookie().join()).toContain("__session=");
    }));

  test("the cookie of a renewal at the sign-in page is Secure", async () => {
    const cookie = `__session=${await world.session()}`;
    world.clock.nowMs += 2 * 3600_000;
    const answer = await ask("/", { headers: { cookie } });
    world.clock.nowMs = NOW_MS;
    expect(answer.headers.getSetCookie().join()).toContain(
      "__Host-lz_refreshing=1; Max-Age=20; HttpOnly; Path=/; SameSite=Lax; Secure",
    );
  });

  test("users return to the public origin, for any Host and forwarding headers", () =>
    withHandshake(async () => {
      const signIn = await (await ask("/sign-in?return=%2Fassets")).text();
      const to = new URL(/class="button primary" href="([^"]*)"/.exec(signIn)![1]!.replaceAll("&amp;", "&"));
      expect(new URL(to.searchParams.get("redirect_url")!).origin).toBe(PUBLIC);
      const sent = await ask("/assets", { headers: { cookie: "__client_uat=1700000000" } });
      const back = new URL(sent.headers.get("location")!).searchParams.get("redirect_url")!;
      expect(back).toStartWith(`${PUBLIC}/assets?lz_state=`);
    }));

  test("commands for agents and the SIEM export name the public origin", async () => {
    const page = await (await asMara("/integrations")).text();
    expect(page).toContain(`${PUBLIC}/v1/events/ocsf`);
    for (const text of [page, await (await asMara("/enrol")).text()]) {
      expect(text).not.toContain("10.0.0.5");
      expect(text).not.toContain("evil.example");
    }
  });

  test("the specification names the public origin as its server, and no server without one", async () => {
    const servers = async (app: World["app"]) =>
      ((await (await app.request(`${INSIDE}/openapi.json`)).json()) as { servers?: unknown }).servers;
    expect(await servers(world.app)).toEqual([{ url: PUBLIC }]);
    expect(await servers((await createWorld([], NOW_MS)).app)).toBeUndefined();
  });

  test.each([
    [PUBLIC, "same-origin", true],
    [PUBLIC, undefined, true],
    [undefined, "same-origin", true],
    [PUBLIC, "same-site", false],
    [PUBLIC, "cross-site", false],
    [undefined, undefined, false],
    ["null", undefined, false],
    [INSIDE, undefined, false],
    ["http://lz.example.com", undefined, false],
    ["https://lz.example.com:8443", undefined, false],
    ["https://lz.example.com.evil.example", undefined, false],
    ["https://LZ.example.com", undefined, false],
    ["http://edge.test", undefined, false], // this origin is an authorised party of the identity provider, but not this site
  ])("a form from origin %p with Sec-Fetch-Site %p: accepted is %p", async (origin, site, isTaken) => {
    const admin = { tenantId: "org_a", userId: "user_mara", sessionId: "sess_1" };
    const csrf = await csrfToken(admin, world.deps);
    const answer = await asMara("/enrol", {
      method: "POST",
      headers: {
        "content-type": "application/x-www-form-urlencoded",
        ...(origin !== undefined && { origin }),
        ...(site !== undefined && { "sec-fetch-site": site }),
      },
      body: new URLSearchParams({ csrf }).toString(),
    });
    expect(answer.status).toBe(isTaken ? 400 : 403); // 400: the form was accepted, but its required fields are missing
    const out = await asMara("/sign-out", {
      method: "POST",
      headers: {
        ...(origin !== undefined && { origin }),
        ...(site !== undefined && { "sec-fetch-site": site }),
      },
    });
    expect(out.status).toBe(isTaken ? 303 : 403);
  });
});

test("without a public origin, only the URL of the request decides whether cookies are Secure, and no header", async () => {
  const plain = await createWorld([], NOW_MS);
  for (const [origin, isSecure] of [
    ["https://edge.test", true],
    ["http://edge.test", false],
  ] as const) {
    const answer = await plain.app.request(`${origin}/sign-out`, {
      method: "POST",
      headers: { origin, "x-forwarded-proto": "https", forwarded: "proto=https" },
    });
    for (const cookie of answer.headers.getSetCookie()) expect(cookie.endsWith("; Secure")).toBe(isSecure);
    expect(answer.headers.getSetCookie()).not.toBeEmpty();
  }
});

describe("LZ_PUBLIC_ORIGIN", () => {
  const complain = (value: string): string => {
    try {
      readConfig({ LZ_PUBLIC_ORIGIN: value });
    } catch (error) {
      return (error as Error).message;
    }
    return "";
  };
  test.each([
    "https://lz.example.com",
    "https://lz.example.com/",
    "https://LZ.example.com:443",
    "https://[2001:db8::1]:8443",
    "http://127.0.0.1:8787",
    "http://localhost:8787",
    "http://[::1]:8787",
  ])("accepts %p", (value) => expect(complain(value)).not.toContain("LZ_PUBLIC_ORIGIN"));
  test.each([
    "",
    "lz.example.com",
    "//lz.example.com",
    "https://",
    "https://lz.example.com/admin",
    "https://lz.example.com/?a",
    "https://lz.example.com/#a",
    "https://mara@lz.example.com",
    "https://lz.example.com:0",
    "https://lz.example.com:99999",
    "https:lz.example.com",
    " https://lz.example.com",
    "https://lz.example.com\\@evil.example",
    "http://lz.example.com",
    "http://127.0.0.1.evil.example",
    "ftp://lz.example.com",
    "https://*.example.com",
    "null",
    "https://a.example,https://b.example",
  ])("rejects %p", (value) => expect(complain(value)).toContain("LZ_PUBLIC_ORIGIN"));
});
