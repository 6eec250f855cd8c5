import { beforeAll, describe, expect, test } from "bun:test";
import { createApp } from "../../../../edge/app.ts";
import { createIds, engineOf, itemsOf } from "../../../browser/seed.ts";
import { createWorld, ORIGIN, type World } from "./dashboard-world.ts";

const NOW_MS = Date.parse("2026-11-21T23:04:05.678Z");
const HANDSHAKE_URL = "https://clerk.northwind.example/v1/client/handshake";
const assetId = createIds(NOW_MS - 1e9)();

let world: World;
let sign: (payload: object) => Promise<string>;
beforeAll(async () => {
  const host = {
    ...{ tenantId: "org_a", assetId, hostname: "calm", employeeId: "mara", os: "Debian" },
    enrolledAtMs: NOW_MS,
    lastSeenAtMs: NOW_MS,
    states: [{ atMs: NOW_MS, engines: [engineOf()] }],
  };
  world = await createWorld(itemsOf(host), NOW_MS);
  world.deps.admin.handshakeUrl = HANDSHAKE_URL;
  world.app = createApp(world.deps);
  sign = world.sign;
});

const ask = (path: string, cookie: string, headers = {}) =>
  world.app.request(ORIGIN + path, { headers: { cookie, ...headers } });
const setCookies = (answer: Response) => answer.headers.getSetCookie();
/** State cookie of a browser during a handshake. The URL of the return has a query parameter with the same value. */
const ASKED = "lz_refreshing=c29tZSBzdGF0ZSBvciBvdGhlcg";
const BACK = "lz_state=c29tZSBzdGF0ZSBvciBvdGhlcg";
/** Returns the state cookie and the return URL from a response that starts a handshake. */
function sentOn(answer: Response): { cookie: string; to: URL } {
  const location = new URL(answer.headers.get("location")!);
  const [cookie] = setCookies(answer).filter((each) => each.startsWith("lz_refreshing="));
  return { cookie: cookie!.split(";")[0]!, to: new URL(location.searchParams.get("redirect_url")!) };
}
/** Creates a handshake with the same signature as the Frontend API's: a list of cookies that includes the session. */
const handshakeOf = async (session: string) =>
  sign({ handshake: [`__client_uat=1; Path=/`, `__session=${session}; Path=/; Secure`] });

async function later<T>(ask: () => Promise<T>): Promise<T> {
  world.clock.nowMs += 2 * 3600_000;
  try {
    return await ask();
  } finally {
    world.clock.nowMs = NOW_MS;
  }
}

describe("a session of one minute", () => {
  test("is renewed by one handshake that returns to the same page", async () => {
    const cookie = `__session=${await world.session()}`;
    const answer = await later(async () => ask("/incidents?risk=CRITICAL", cookie));
    expect(answer.status).toBe(307);
    const to = new URL(answer.headers.get("location")!);
    expect(to.origin + to.pathname).toBe(HANDSHAKE_URL);
    const { to: back } = sentOn(answer);
    expect(back.href).toStartWith(`${ORIGIN}/incidents?risk=CRITICAL&lz_state=`);
    const again = await later(async () => ask("/incidents", `${cookie}; ${ASKED}`));
    expect(again.headers.get("location")).toStartWith("/sign-in?return=");
  });

  test("starts with a handshake if Clerk knows the user, and not after sign-out", async () => {
    expect((await ask("/", "__client_uat=1700000000")).headers.get("location")).toStartWith(HANDSHAKE_URL);
    for (const cookie of ["", "__client_uat=0", "__client_uat=1700000000; lz_signed_out=1"])
      expect((await ask("/", cookie)).headers.get("location")).toBe("/sign-in");
    const back = await ask("/sign-in?back=&return=%2Fassets", "__client_uat=1; lz_signed_out=1");
    expect(sentOn(back).to.href).toStartWith(`${ORIGIN}/assets?lz_state=`);
    expect(setCookies(back).join("\n")).toContain("lz_signed_out=; Max-Age=0");
  });

  test("moves from the handshake into cookies of this site, and the address loses the handshake", async () => {
    const session = await world.session();
    const handshake = await handshakeOf(session);
    const byCookie = await ask(`/assets?q=a&${BACK}`, `${ASKED}; __clerk_handshake=${handshake}`);
    const byQuery = await ask(`/assets?q=a&${BACK}&__clerk_handshake=${handshake}`, ASKED);
    for (const answer of [byCookie, byQuery]) {
      expect(answer.status).toBe(302);
      expect(answer.headers.get("location")).toBe("/assets?q=a");
      const cookies = setCookies(answer).join("\n");
      expect(cookies).toContain(`__session=${session}; HttpOnly; Path=/; SameSite=Lax`);
      expect(cookies).toMatch(/lz_until=\d{10};/);
      expect(cookies).toContain("__clerk_handshake=; Max-Age=0");
      expect(cookies).not.toContain("__client_uat");
    }
  });

  test("of another organisation replaces the current one after switching", async () => {
    const here = `__session=${await world.session()}`;
    const switching = await (await ask("/sign-in?switch", here)).text();
    expect(switching).toContain(encodeURIComponent("/sign-in?back=&return=%2F"));
    const back = await ask("/sign-in?back=&return=%2F", here);
    expect(back.headers.get("location")).toStartWith(HANDSHAKE_URL);
    const there = await world.session({ tenantId: "org_b" });
    const handshake = await handshakeOf(there);
    const taken = await ask(`/?${BACK}`, `${here}; ${ASKED}; __clerk_handshake=${handshake}`);
    expect(taken.status).toBe(302);
    expect(setCookies(taken).join("\n")).toContain(`__session=${there};`);
  });

  test("is not taken from a handshake that this site did not start, with a wrong signature, or without a valid session", async () => {
    const good = await handshakeOf(await world.session());
    const forged = `${good.slice(0, -6)}AAAAAA`;
    const foreign = await handshakeOf("aaa.bbb.ccc");
    const stranger = await handshakeOf(await world.session({ role: "org:nobody-knows" }));
    for (const cookie of [
      `__clerk_handshake=${good}`,
      `${ASKED}; __clerk_handshake=${forged}`,
      `${ASKED}; __clerk_handshake=${foreign}`,
      `${ASKED}; __clerk_handshake=${stranger}`,
      `${ASKED}; __clerk_handshake=${await sign({ handshake: "no list" })}`,
    ]) {
      const answer = await ask(`/?${BACK}`, cookie);
      expect(answer.headers.get("location")).toBe("/sign-in");
      expect(setCookies(answer).join()).not.toContain("__session=");
    }
  });

  test("is not taken from a link, even if another link has just started a handshake", async () => {
    const [mine, attackers] = [await world.session(), await world.session({ tenantId: "org_evil" })];
    const sent = sentOn(await ask("/sign-in?back=&return=%2F", ""));
    const handshake = await handshakeOf(attackers);
    for (const path of ["/?", "/?lz_state=&", "/?lz_state=guess&", `/?${BACK}&`]) {
      const answer = await ask(`${path}__clerk_handshake=${handshake}`, sent.cookie);
      expect([path, answer.headers.get("location")]).toEqual([path, "/sign-in"]);
      expect(setCookies(answer).join()).not.toContain("__session=");
    }
    const { pathname, search } = sent.to;
    const back = await ask(`${pathname}${search}&__clerk_handshake=${await handshakeOf(mine)}`, sent.cookie);
    expect(setCookies(back).join("\n")).toContain(`__session=${mine};`);
    expect(back.headers.get("location")).toBe("/");
  });

  test("is renewed in a frame that only this site may embed; no other page can be embedded", async () => {
    const cookie = `__session=${await world.session()}`;
    expect((await ask("/session", cookie)).headers.get("location")).toStartWith(HANDSHAKE_URL);
    const handshake = await handshakeOf(await world.session());
    const done = await ask(`/session?${BACK}`, `${cookie}; ${ASKED}; __clerk_handshake=${handshake}`);
    expect(done.status).toBe(200);
    expect(done.headers.get("content-security-policy")).toContain("frame-ancestors 'self'");
    expect((await ask("/session", ASKED)).status).toBe(401);
    const page = await ask("/", cookie);
    expect(page.headers.get("content-security-policy")).toContain("frame-ancestors 'none'");
    expect(page.headers.get("content-security-policy")).toContain(
      "frame-src 'self' https://clerk.northwind.example",
    );
  });

  test("ends with sign-out, together with the cookie that would renew it", async () => {
    const answer = await world.app.request(`${ORIGIN}/sign-out`, {
      method: "POST",
      headers: { origin: ORIGIN, cookie: `__session=${await world.session()}` },
    });
    const cookies = setCookies(answer).join("\n");
    for (const name of ["__session=;", "lz_until=;", "lz_signed_out=1"]) expect(cookies).toContain(name);
  });
});

test("without a configured handshake there is no /session and no frame-src", async () => {
  const plain = await createWorld([], NOW_MS);
  const page = await plain.get("/");
  expect(page.headers.get("content-security-policy")).not.toContain("frame-src");
  expect((await plain.get("/session")).status).toBe(404);
});
