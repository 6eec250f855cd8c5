import type { Context } from "hono";
import { decodeJwt, jwtVerify } from "jose";
import { z } from "zod";
import { base64url } from "../../../shared/encoding/bytes.ts";
import { authenticate, SESSION_COOKIE } from "../../auth/authenticate.ts";
import { clerkCookies, directiveValue } from "../../auth/clerk-cookies.ts";
import { isSecure, siteOrigin } from "../../http/public-origin.ts";
import type { Env } from "../../request-env.ts";
import type { DashboardDeps } from "../deps.ts";
import { returnPath } from "./return-path.ts";
import { refreshCookie, refreshState, sessionExpired } from "./session-refresh.ts";

/**
 * Clerk's tokens are valid for one minute. This site does not load Clerk's script, which would renew them.
 * Instead, it uses the handshake (clerk.com/docs, "How Clerk works"). The browser is redirected to the
 * Frontend API, which recognises the user by its own cookie. The Frontend API redirects back with a signed
 * list of cookies, of which this site uses only the session cookie.
 */
const HANDSHAKE = "__clerk_handshake";
/**
 * Query parameter with a random value that must equal the state cookie. The equal values prove that this site
 * started the handshake in this browser. A link from an attacker can therefore not sign the user in to
 * another account.
 */
const STATE = "lz_state";
const STATE_BYTES = 16;
/**
 * Cookie with the token's expiry in Unix seconds. The browser script reads this cookie to renew the session
 * before the token expires.
 */
const UNTIL_COOKIE = "lz_until";
const UNTIL_SECONDS = 24 * 3600;

const cookieOf = (request: Request, name: string): string | undefined =>
  new RegExp(`(?:^|; )${name}=([^;]*)`).exec(request.headers.get("cookie") ?? "")?.[1];

/**
 * Cookie that is set on sign-out. Clerk still has a session, so without this cookie the next page would sign
 * the user in again.
 */
const SIGNED_OUT_COOKIE = "lz_signed_out";

/** Whether the request is the return from a handshake that this site started in this browser. */
function isHandshakeReturn(request: Request, deps: DashboardDeps): boolean {
  const state = new URL(request.url).searchParams.get(STATE);
  return state !== null && state !== "" && state === refreshState(request, deps);
}

/**
 * Whether Clerk's site-wide cookie shows that the user is signed in. The cookie's value is the time of the
 * last sign-in, or 0 if no user is signed in.
 */
const isKnownToClerk = (request: Request): boolean =>
  clerkCookies(request, "__client_uat").some((value) => !["", "0"].includes(value));

/**
 * Token by which Clerk's development instances identify a browser. Their Frontend API is on another site and
 * receives no cookies. The token is part of URLs, so a link could contain the token of another user.
 * Production never uses this token.
 */
const DEV_BROWSER = "__clerk_db_jwt";
const DEV_BROWSER_TOKEN = /^[A-Za-z0-9._-]{1,2048}$/;
const DEV_BROWSER_SECONDS = 365 * 24 * 3600;
const isDevelopment = ({ admin }: DashboardDeps): boolean =>
  /\.(?:accounts\.dev|lclclerk\.com)$/.test(new URL(admin.handshakeUrl!).hostname);

const newDevBrowser = (request: Request): string | null => new URL(request.url).searchParams.get(DEV_BROWSER);

function devBrowserOf(request: Request): string | undefined {
  const token = newDevBrowser(request) ?? clerkCookies(request, DEV_BROWSER)[0];
  return token !== undefined && DEV_BROWSER_TOKEN.test(token) ? token : undefined;
}

/** Attributes of every cookie that this site sets. */
export const cookieAttributes = (c: Context<Env>, deps: DashboardDeps): string =>
  `Path=/; SameSite=Lax${isSecure(c.req.raw, deps) ? "; Secure" : ""}`;

/**
 * Whether a request without a valid session may start a handshake. Allowed once in 20 s, so that a failed
 * handshake does not cause a loop.
 */
export const mayStartHandshake = (request: Request, deps: DashboardDeps): boolean =>
  deps.admin.handshakeUrl !== undefined &&
  refreshState(request, deps) === undefined &&
  cookieOf(request, SIGNED_OUT_COOKIE) === undefined &&
  (sessionExpired(request, deps.clock()) ||
    isKnownToClerk(request) ||
    (isDevelopment(deps) && newDevBrowser(request) !== null));

/** Redirects the browser to the Frontend API, which redirects back to `path`. */
export function startHandshake(c: Context<Env>, path: string, deps: DashboardDeps): Response {
  const address = new URL(deps.admin.handshakeUrl!);
  const home = siteOrigin(c.req.raw, deps);
  const state = base64url(deps.random(STATE_BYTES));
  const back = new URL(returnPath(path), home);
  back.searchParams.set(STATE, state);
  address.searchParams.set("redirect_url", back.href);
  address.searchParams.set("suffixed_cookies", "false");
  const devBrowser = isDevelopment(deps) ? devBrowserOf(c.req.raw) : undefined;
  if (devBrowser !== undefined) address.searchParams.set(DEV_BROWSER, devBrowser);
  address.searchParams.set("__clerk_hs_reason", "session-token-expired");
  c.header(
    "set-cookie",
    `${refreshCookie(c.req.raw, deps)}=${state}; Max-Age=20; HttpOnly; ${cookieAttributes(c, deps)}`,
    {
      append: true,
    },
  );
  c.header("cache-control", "no-store");
  return c.redirect(address.href, 307);
}

const directives = z.object({ handshake: z.array(z.string().max(20_000)).max(40) });

type Taken = { session: string; devBrowser: string | undefined };

/**
 * Returns the session from a handshake that this site started. The handshake must be signed with the
 * provider's key, and its session must be valid. Other handshakes are ignored, because a link could otherwise
 * sign the user in to another account.
 */
async function sessionOf(request: Request, deps: DashboardDeps): Promise<Taken | undefined> {
  if (deps.admin.handshakeUrl === undefined || !isHandshakeReturn(request, deps)) return undefined;
  const token = new URL(request.url).searchParams.get(HANDSHAKE) ?? cookieOf(request, HANDSHAKE);
  if (!token || token.length > 60_000) return undefined;
  const verified = await jwtVerify(token, deps.admin.keys, {
    algorithms: ["RS256"],
    currentDate: new Date(deps.clock()),
  }).catch(() => undefined);
  const read = directives.safeParse(verified?.payload);
  if (!read.success) return undefined;
  const find = (name: string) =>
    read.data.handshake.map((each) => directiveValue(each, name)).find((value) => value !== undefined);
  const session = find(SESSION_COOKIE);
  if (session === undefined) return undefined;
  const asked = new Request(request.url, { headers: { cookie: `${SESSION_COOKIE}=${session}` } });
  const admin = await authenticate(asked, deps);
  // A session without an organisation is also valid: the page then asks the user to choose an organisation.
  if (!admin.ok && admin.code !== "admin.no-organisation") return undefined;
  return { session, devBrowser: isDevelopment(deps) ? find(DEV_BROWSER) : undefined };
}

/**
 * Moves the session from a handshake to this site's cookies. Returns undefined if the request has no valid
 * handshake.
 */
export async function takeHandshake(
  c: Context<Env>,
  deps: DashboardDeps,
): Promise<{ untilSeconds: number } | undefined> {
  const taken = await sessionOf(c.req.raw, deps);
  if (taken === undefined) return undefined;
  const { session, devBrowser } = taken;
  const untilSeconds = decodeJwt(session).exp!;
  const own = cookieAttributes(c, deps);
  // The session cookie has no expiry attribute, because the token itself contains the expiry.
  for (const cookie of [
    `${SESSION_COOKIE}=${session}; HttpOnly; ${own}`,
    `${UNTIL_COOKIE}=${untilSeconds}; Max-Age=${UNTIL_SECONDS}; ${own}`,
    ...(devBrowser ? [`${DEV_BROWSER}=${devBrowser}; Max-Age=${DEV_BROWSER_SECONDS}; HttpOnly; ${own}`] : []),
    `${HANDSHAKE}=; Max-Age=0; ${own}`,
    `${refreshCookie(c.req.raw, deps)}=; Max-Age=0; ${own}`,
  ])
    c.header("set-cookie", cookie, { append: true });
  c.header("cache-control", "no-store");
  return { untilSeconds };
}

/** Returns the requested path without handshake parameters, so that they do not stay in the browser history. */
export function withoutHandshake(c: Context<Env>): string {
  const url = new URL(c.req.url);
  for (const name of [HANDSHAKE, STATE, DEV_BROWSER])
    if (url.searchParams.has(name)) url.searchParams.delete(name);
  return returnPath(url.pathname + url.search);
}

/** Deletes the session cookies and prevents a new handshake until the user signs in again. */
export const forgetSession = (c: Context<Env>, deps: DashboardDeps): void => {
  if (deps.admin.handshakeUrl !== undefined)
    c.header("set-cookie", `${SIGNED_OUT_COOKIE}=1; HttpOnly; ${cookieAttributes(c, deps)}`, {
      append: true,
    });
  for (const name of [SESSION_COOKIE, UNTIL_COOKIE])
    c.header("set-cookie", `${name}=; Max-Age=0; HttpOnly; ${cookieAttributes(c, deps)}`, { append: true });
};

/**
 * Starts a handshake after the user signed in at the provider. Works even if the user signed out of this site
 * before.
 */
export function restartHandshake(c: Context<Env>, path: string, deps: DashboardDeps): Response {
  c.header("set-cookie", `${SIGNED_OUT_COOKIE}=; Max-Age=0; HttpOnly; ${cookieAttributes(c, deps)}`, {
    append: true,
  });
  return startHandshake(c, path, deps);
}
