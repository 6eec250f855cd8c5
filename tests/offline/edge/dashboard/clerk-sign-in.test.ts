import { beforeEach, describe, expect, test } from "bun:test";
import { createApp } from "../../../../edge/app.ts";
import { createFrontendApi, type FrontendApi } from "../../../support/edge/clerk-frontend-api.ts";
import { createWorld, ORIGIN, type World } from "./dashboard-world.ts";

const NOW_MS = Date.parse("2026-11-21T23:04:05.678Z");
/** A cookie suffix that contains both special characters of base64url (`-` and `_`). */
const SUFFIX = "a-B_9xYz";
const HOSTS = {
  production: "https://clerk.example.com",
  development: "https://calm-cat-1.clerk.accounts.dev",
};

let world: World;
let clerk: FrontendApi;
/** Cookies that the browser has for this site. */
let jar: Map<string, string>;

async function useInstance(kind: keyof typeof HOSTS): Promise<void> {
  world = await createWorld([], NOW_MS);
  world.deps.admin.handshakeUrl = `${HOSTS[kind]}/v1/client/handshake`;
  world.app = createApp(world.deps);
  jar = new Map();
  clerk = createFrontendApi({
    isDevelopment: kind === "development",
    allowedOrigins: [ORIGIN],
    suffix: SUFFIX,
    sign: world.sign,
  });
}

function keep(cookies: readonly string[]): void {
  for (const cookie of cookies) {
    const [, name, value] = /^([^=]+)=([^;]*)/.exec(cookie)!;
    if (/Max-Age=0/.test(cookie)) jar.delete(name!);
    else jar.set(name!, value!);
  }
}

/** Follows redirects between this site and the Frontend API, as a browser does. */
async function browse(url: URL, clientCookie?: string) {
  let at = url;
  for (let hops = 0; hops < 10; hops++) {
    if (at.origin !== ORIGIN) {
      const sent = await clerk.handshake(at, clientCookie);
      expect([at.href, sent.status]).toEqual([at.href, 307]);
      keep(sent.cookies);
      at = sent.back!;
      continue;
    }
    const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join("; ");
    const answer = await world.app.request(at.href, { headers: { cookie } });
    keep(answer.headers.getSetCookie());
    const location = answer.headers.get("location");
    if (location === null) return { answer, at, hops };
    at = new URL(location, at);
  }
  throw new Error("redirected without end");
}

for (const kind of ["production", "development"] as const)
  describe(`a ${kind} instance of Clerk`, () => {
    beforeEach(() => useInstance(kind));

    test("signs the user in, with a base64url cookie suffix, and leaves no handshake in the address", async () => {
      const landing = new URL("/sign-in?back=&return=%2Fincidents%3Frisk%3DCRITICAL", ORIGIN);
      const { back, clientCookie } = clerk.signIn(landing, await world.session());
      const { answer, at } = await browse(back, clientCookie);
      expect([answer.status, at.pathname + at.search]).toEqual([200, "/incidents?risk=CRITICAL"]);
      expect(jar.has("__session")).toBe(true);
      expect(jar.has("__clerk_db_jwt")).toBe(kind === "development");
    });

    test("renews the session when it has ended", async () => {
      const { back, clientCookie } = clerk.signIn(
        new URL("/sign-in?back=&return=%2F", ORIGIN),
        await world.session(),
      );
      await browse(back, clientCookie);
      const old = jar.get("__session");
      jar.set("__session", `${old!.split(".")[0]}.${btoa(JSON.stringify({ exp: 1 })).replaceAll("=", "")}.x`);
      const { answer, at } = await browse(new URL("/incidents", ORIGIN), clientCookie);
      expect([answer.status, at.pathname, jar.get("__session")]).toEqual([200, "/incidents", old!]);
    });

    test("asks the user to choose an organisation, without an endless redirect", async () => {
      for (const claims of [{}, { org_id: "", org_role: "" }, { org_id: null }, { o: null }]) {
        const seconds = Math.floor(NOW_MS / 1000);
        const session = await world.sign({
          ...{ iss: world.deps.admin.issuer, sub: "user_mara", sid: "sess_1", azp: ORIGIN },
          ...{ iat: seconds, exp: seconds + 60, ...claims },
        });
        jar.clear();
        const { back, clientCookie } = clerk.signIn(new URL("/sign-in?back=&return=%2F", ORIGIN), session);
        jar.set("__client_uat", "1790000000");
        const { answer } = await browse(back, clientCookie);
        const page = await answer.text();
        expect([answer.status, page.includes("Choose an organisation")]).toEqual([403, true]);
        expect(page).toContain('href="/sign-in?switch"');
        const choose = await browse(new URL("/sign-in?switch", ORIGIN), clientCookie);
        expect(await choose.answer.text()).toContain("no organisation is active");
      }
    });

    test("shows the sign-in page if the user has no session at the provider", async () => {
      jar.set("__client_uat", "1790000000");
      const { answer, at } = await browse(new URL("/incidents", ORIGIN));
      expect([answer.status, at.pathname]).toEqual([200, "/sign-in"]);
    });
  });

describe("a production instance of Clerk", () => {
  beforeEach(() => useInstance("production"));

  test("never receives a development browser token from a link", async () => {
    jar.set("__client_uat", "1790000000");
    const answer = await world.app.request(`${ORIGIN}/incidents?__clerk_db_jwt=dvb_evil`, {
      headers: { cookie: "__client_uat=1; __clerk_db_jwt=dvb_evil" },
    });
    expect(answer.headers.get("location")).toStartWith(HOSTS.production);
    expect(answer.headers.get("location")).not.toContain("dvb_evil");
  });

  test("is recognised by a cookie with a suffix", async () => {
    for (const [cookie, isSent] of [
      [`__client_uat_${SUFFIX}=1790000000`, true],
      [`__client_uat_${SUFFIX}=0; __client_uat=`, false],
      [`x__client_uat=1790000000`, false],
    ] as const) {
      const to = (await world.app.request(`${ORIGIN}/`, { headers: { cookie } })).headers.get("location")!;
      expect([cookie, to.startsWith(HOSTS.production)]).toEqual([cookie, isSent]);
    }
  });

  test("may store the session in a cookie with a suffix, next to one of another application", async () => {
    const session = await world.session();
    const other = await world.sign({ iss: "https://other.example", sub: "x" });
    for (const [cookie, status] of [
      [`__session_${SUFFIX}=${session}`, 200],
      [`__session=${other}; __session_${SUFFIX}=${session}`, 200],
      [`__session_other123=${other}; __session_${SUFFIX}=${session}`, 200],
      [`__session_${SUFFIX}=${other}`, 302],
      [`__sessionx=${session}`, 302],
      [`__session_${"s".repeat(33)}=${session}`, 302],
    ] as const)
      expect([cookie, (await world.app.request(`${ORIGIN}/`, { headers: { cookie } })).status]).toEqual([
        cookie,
        status,
      ]);
  });

  test("may omit azp if configured; a foreign azp is always rejected", async () => {
    const seconds = Math.floor(NOW_MS / 1000);
    const statusOf = async (azp: object) => {
      const claims = { iss: world.deps.admin.issuer, sub: "u", sid: "s", o: { id: "org_a", rol: "admin" } };
      const token = await world.sign({ ...claims, iat: seconds, exp: seconds + 60, ...azp });
      const headers = { authorization: `Bearer ${token}` };
      return (await world.app.request(`${ORIGIN}/v1/me`, { headers })).status;
    };
    const tried = [
      {},
      { azp: ORIGIN },
      { azp: "https://evil.example" },
      { azp: "" },
      { azp: null },
      { azp: [ORIGIN] },
    ];
    const statuses = async () => Promise.all(tried.map(statusOf));
    expect(await statuses()).toEqual([401, 200, 401, 401, 401, 401]);
    world.deps.admin.allowsMissingParty = true;
    expect(await statuses()).toEqual([200, 200, 401, 401, 401, 401]);
  });
});
