import type { Context } from "hono";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import { base64url, utf8 } from "../../../shared/encoding/bytes.ts";
import type { Refusal } from "../../../shared/verdict.ts";
import type { Deps } from "../../deps.ts";
import { noteRefusal } from "../../http/problem-response.ts";
import type { Env } from "../../request-env.ts";
import { failurePage } from "../components/error-page.tsx";
import {
  cookieAttributes,
  mayShake,
  startHandshake,
  takeHandshake,
  withoutHandshake,
} from "../session/clerk-handshake.ts";
import { formPlace, returnPath, signInAddress } from "../session/return-path.ts";
import { PAGE_HEADERS } from "../session/security-headers.ts";
import { refreshCookie, refreshState, sessionExpired } from "../session/session-refresh.ts";

/** The script of an open page asks with this header: it wants a 304 or a status, never a redirect. */
export const LIVE_HEADER = "x-lz-live";
/** Said with the 401: the session was good and its token is old, so going to the page again may bring a new one. */
const EXPIRED_HEADER = "x-lz-expired";
export const isLive = (c: Context<Env>): boolean => c.req.header(LIVE_HEADER) !== undefined;

/** What JSX gives: markup that is already escaped. */
export type Markup = { toString(): string | Promise<string> };

/**
 * Sends a page. Its entity tag leaves out the words inside `<time>`, which differ every second and tell nothing
 * new: a page whose facts have not changed answers a poll with 304 and no body (RFC 9110 §13.1.2).
 */
export async function sendPage(c: Context<Env>, page: Markup, status: ContentfulStatusCode = 200) {
  const markup = `<!doctype html>${await page.toString()}`;
  for (const [name, value] of Object.entries(PAGE_HEADERS)) c.header(name, value);
  if (status !== 200) return c.body(markup, status);
  const digest = await crypto.subtle.digest("SHA-256", utf8(factsOf(markup)));
  const tag = `"${base64url(new Uint8Array(digest).slice(0, 15))}"`;
  c.header("etag", tag);
  if (isLive(c) && c.req.header("if-none-match") === tag) {
    c.header("content-type", undefined);
    return c.body(null, 304);
  }
  return c.body(markup, status);
}

/** `data-time="exact"` stands in the frame and changes on every read; in a record its own text never changes. */
const factsOf = (markup: string): string =>
  markup.replace(/<div class="freshness".*?<\/div>/s, "").replace(/(<time [^>]*>)[^<]*/g, "$1");

/** A refusal as a page, counted and logged as the API's are. */
export function sendFailure(c: Context<Env>, refused: Refusal, deps: Deps) {
  const { status } = noteRefusal({ requestId: c.var.requestId, path: c.req.path }, refused, deps);
  return sendPage(c, failurePage({ refused, ...failureOf(c, deps) }), status);
}

/** What a page about a failure knows of the request. */
export function failureOf(c: Context<Env>, deps: Deps) {
  const { pathname, search } = new URL(c.req.url);
  const path = returnPath(pathname + search);
  const isChange = c.req.method === "POST";
  return { admin: c.get("admin"), requestId: c.var.requestId, nowMs: deps.clock(), path, isChange };
}

/** Once in a while: a provider that sends people back without a new session must not send them round for ever. */
const canRefresh = (c: Context<Env>, deps: Deps): boolean =>
  deps.admin.handshakeUrl === undefined &&
  sessionExpired(c.req.raw, deps.clock()) &&
  refreshState(c.req.raw, deps) === undefined;

/** Straight to the provider, which knows the person and sends them back with a fresh token: nobody has to click. */
function refreshSession(c: Context<Env>, path: string, deps: Deps) {
  c.header(
    "set-cookie",
    `${refreshCookie(c.req.raw, deps)}=1; Max-Age=20; HttpOnly; ${cookieAttributes(c, deps)}`,
  );
  c.header("cache-control", "no-store");
  return c.redirect(signInAddress(c.req.raw, returnPath(path), deps), 302);
}

/** Somebody without a session: to sign-in and back. The script of an open page gets 401, it follows no redirect. */
export async function sendStranger(c: Context<Env>, refused: Refusal, deps: Deps) {
  if (c.req.method === "GET" && !isLive(c)) {
    if (await takeHandshake(c, deps)) return c.redirect(withoutHandshake(c), 302);
    // A session that is good but refused would come back the same, without end.
    if (refused.code === "admin.unauthenticated" && mayShake(c.req.raw, deps))
      return startHandshake(c, withoutHandshake(c), deps);
  }
  if (isLive(c) && sessionExpired(c.req.raw, deps.clock())) c.header(EXPIRED_HEADER, "1");
  if (refused.code !== "admin.unauthenticated" || isLive(c)) return sendFailure(c, refused, deps);
  const url = new URL(c.req.url);
  if (c.req.method === "GET" && canRefresh(c, deps))
    return refreshSession(c, url.pathname + url.search, deps);
  // What was sent is not kept: after sign-in it is the page of the form that is shown, as it is then.
  const isForm = c.req.method !== "GET";
  const back = isForm ? returnPath(formPlace(url.pathname)) : withoutHandshake(c);
  const query = new URLSearchParams({ ...(back !== "/" && { return: back }), ...(isForm && { sent: "" }) });
  const to = query.size === 0 ? "/sign-in" : `/sign-in?${query}`;
  c.header("cache-control", "no-store");
  return c.redirect(to, c.req.method === "GET" ? 302 : 303);
}
