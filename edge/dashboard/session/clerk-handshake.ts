import type { Context } from "hono";
import { decodeJwt, jwtVerify } from "jose";
import { z } from "zod";
import { base64url } from "../../../shared/encoding/bytes.ts";
import { authenticate, SESSION_COOKIE } from "../../auth/authenticate.ts";
import { clerkCookies, directiveValue } from "../../auth/clerk-cookies.ts";
import type { Deps } from "../../deps.ts";
import { isSecure, siteOrigin } from "../../http/public-origin.ts";
import type { Env } from "../../request-env.ts";
import { returnPath } from "./return-path.ts";
import { refreshCookie, refreshState, sessionExpired } from "./session-refresh.ts";

/**
 * Clerk's tokens live for a minute, and without Clerk's own script nothing renews them on this site. Its server-side
 * way is the handshake (clerk.com/docs, "How Clerk works"): the browser is sent to the Frontend API, which knows the
 * person by a cookie of its own, and comes back with a signed list of cookies to set, of which we take the session.
 */
const HANDSHAKE = "__clerk_handshake";
/**
 * In the address to come back to, as random as in the cookie of whoever was sent: anybody's link can send a browser
 * away, and only the provider knows what it was sent with.
 */
const STATE = "lz_state";
const STATE_BYTES = 16;
/** When the session's token ends, in seconds: for the script, which renews it before. Says nothing else. */
const UNTIL_COOKIE = "lz_until";
const UNTIL_SECONDS = 24 * 3600;

const cookieOf = (request: Request, name: string): string | undefined =>
  new RegExp(`(?:^|; )${name}=([^;]*)`).exec(request.headers.get("cookie") ?? "")?.[1];

/** Somebody signed out here: Clerk still knows them, and only they may change their mind. */
const SIGNED_OUT_COOKIE = "lz_signed_out";

/** Whether this is the way back of the very handshake this browser was sent on. */
function isWayBack(request: Request, deps: Deps): boolean {
  const state = new URL(request.url).searchParams.get(STATE);
  return state !== null && state !== "" && state === refreshState(request, deps);
}

/** Clerk says by this cookie of the whole site that somebody has signed in, and with 0 that nobody has. */
const isKnownToClerk = (request: Request): boolean =>
  clerkCookies(request, "__client_uat").some((value) => !["", "0"].includes(value));

/**
 * Development instances know a browser by this token, because their Frontend API is on another site and gets no
 * cookies. It travels in addresses, so a link can carry somebody else's: production instances never use it.
 */
const DEV_BROWSER = "__clerk_db_jwt";
const DEV_BROWSER_TOKEN = /^[A-Za-z0-9._-]{1,2048}$/;
const DEV_BROWSER_SECONDS = 365 * 24 * 3600;
const isDevelopment = ({ admin }: Deps): boolean =>
  /\.(?:accounts\.dev|lclclerk\.com)$/.test(new URL(admin.handshakeUrl!).hostname);

const newDevBrowser = (request: Request): string | null => new URL(request.url).searchParams.get(DEV_BROWSER);

function devBrowserOf(request: Request): string | undefined {
  const token = newDevBrowser(request) ?? clerkCookies(request, DEV_BROWSER)[0];
  return token !== undefined && DEV_BROWSER_TOKEN.test(token) ? token : undefined;
}

/** Of every cookie this site sets. */
export const cookieAttributes = (c: Context<Env>, deps: Deps): string =>
  `Path=/; SameSite=Lax${isSecure(c.req.raw, deps) ? "; Secure" : ""}`;

/** Whether a request without a session may get one by a handshake; once, for one that fails must not go round. */
export const mayShake = (request: Request, deps: Deps): boolean =>
  deps.admin.handshakeUrl !== undefined &&
  refreshState(request, deps) === undefined &&
  cookieOf(request, SIGNED_OUT_COOKIE) === undefined &&
  (sessionExpired(request, deps.clock()) ||
    isKnownToClerk(request) ||
    (isDevelopment(deps) && newDevBrowser(request) !== null));

/** Sends the browser to the Frontend API, to come back to `path`. */
export function startHandshake(c: Context<Env>, path: string, deps: Deps): Response {
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
 * The session out of a handshake this browser was sent for by us: signed by the provider's key, and itself a session
 * that lets in. A handshake that comes unasked is left alone: else a link could sign people in as somebody else.
 */
async function sessionOf(request: Request, deps: Deps): Promise<Taken | undefined> {
  if (deps.admin.handshakeUrl === undefined || !isWayBack(request, deps)) return undefined;
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
  // Without an organisation the session is good all the same: the page then says to choose one.
  if (!admin.ok && admin.code !== "admin.no-organisation") return undefined;
  return { session, devBrowser: isDevelopment(deps) ? find(DEV_BROWSER) : undefined };
}

/** Takes the session out of a handshake into this site's own cookies; when there is one. */
export async function takeHandshake(
  c: Context<Env>,
  deps: Deps,
): Promise<{ untilSeconds: number } | undefined> {
  const taken = await sessionOf(c.req.raw, deps);
  if (taken === undefined) return undefined;
  const { session, devBrowser } = taken;
  const untilSeconds = decodeJwt(session).exp!;
  const own = cookieAttributes(c, deps);
  // A session cookie of the browser's: it outlives the token, for the token says when it ends.
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

/** The address asked for, without anything of the handshake in it: it must stand in no history. */
export function withoutHandshake(c: Context<Env>): string {
  const url = new URL(c.req.url);
  for (const name of [HANDSHAKE, STATE, DEV_BROWSER])
    if (url.searchParams.has(name)) url.searchParams.delete(name);
  return returnPath(url.pathname + url.search);
}

/** Signing out ends what the script would renew. */
export const forgetSession = (c: Context<Env>, deps: Deps): void => {
  if (deps.admin.handshakeUrl !== undefined)
    c.header("set-cookie", `${SIGNED_OUT_COOKIE}=1; HttpOnly; ${cookieAttributes(c, deps)}`, {
      append: true,
    });
  for (const name of [SESSION_COOKIE, UNTIL_COOKIE])
    c.header("set-cookie", `${name}=; Max-Age=0; HttpOnly; ${cookieAttributes(c, deps)}`, { append: true });
};

/** Back from the provider's own sign-in: they have changed their mind. */
export function startAnew(c: Context<Env>, path: string, deps: Deps): Response {
  c.header("set-cookie", `${SIGNED_OUT_COOKIE}=; Max-Age=0; HttpOnly; ${cookieAttributes(c, deps)}`, {
    append: true,
  });
  return startHandshake(c, path, deps);
}
