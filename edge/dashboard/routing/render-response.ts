import type { Context } from "hono";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import { base64url, utf8 } from "../../../shared/encoding/bytes.ts";
import type { Refusal } from "../../../shared/verdict.ts";
import { noteRefusal } from "../../http/problem-response.ts";
import type { Env } from "../../request-env.ts";
import { failurePage } from "../components/error-page.tsx";
import type { DashboardDeps } from "../deps.ts";
import {
  cookieAttributes,
  mayStartHandshake,
  startHandshake,
  takeHandshake,
  withoutHandshake,
} from "../session/clerk-handshake.ts";
import { pageOfForm, returnPath, signInAddress } from "../session/return-path.ts";
import { PAGE_HEADERS } from "../session/security-headers.ts";
import { refreshCookie, refreshState, sessionExpired } from "../session/session-refresh.ts";

/**
 * Request header that the browser script sends with polls. The response to a poll is 200, 304 or an error,
 * never a redirect.
 */
const LIVE_HEADER = "x-lz-live";
/**
 * Response header of a 401 if the only problem is an expired token. A reload may then get a new token from
 * the identity provider.
 */
const EXPIRED_HEADER = "x-lz-expired";
const isLive = (c: Context<Env>): boolean => c.req.header(LIVE_HEADER) !== undefined;

/** Rendered JSX. The markup is already escaped. */
export type Markup = { toString(): string | Promise<string> };

/**
 * Sends a page. Its ETag ignores the text of `<time>` elements, which changes every second. A poll of an
 * otherwise unchanged page therefore gets 304 without a body (RFC 9110 §13.1.2).
 */
export async function sendPage(c: Context<Env>, page: Markup, status: ContentfulStatusCode = 200) {
  const markup = `<!doctype html>${await page.toString()}`;
  for (const [name, value] of Object.entries(PAGE_HEADERS)) c.header(name, value);
  if (status !== 200) return c.body(markup, status);
  const digest = await crypto.subtle.digest("SHA-256", utf8(withoutTimes(markup)));
  const tag = `"${base64url(new Uint8Array(digest).slice(0, 15))}"`;
  c.header("etag", tag);
  if (isLive(c) && c.req.header("if-none-match") === tag) {
    c.header("content-type", undefined);
    return c.body(null, 304);
  }
  return c.body(markup, status);
}

/** Removes the freshness indicator and the text of `<time>` elements from the markup. */
const withoutTimes = (markup: string): string =>
  markup.replace(/<div class="freshness".*?<\/div>/s, "").replace(/(<time [^>]*>)[^<]*/g, "$1");

/** Sends the error page for a refusal. Counts and logs the refusal as the API does. */
export function sendFailure(c: Context<Env>, refused: Refusal, deps: DashboardDeps) {
  const { status } = noteRefusal({ requestId: c.var.requestId, path: c.req.path }, refused, deps);
  return sendPage(c, failurePage({ refused, ...failureOf(c, deps) }), status);
}

/** Fields of the request that an error page shows. */
export function failureOf(c: Context<Env>, deps: DashboardDeps) {
  const { pathname, search } = new URL(c.req.url);
  const path = returnPath(pathname + search);
  const isChange = c.req.method === "POST";
  return { admin: c.get("admin"), requestId: c.var.requestId, nowMs: deps.clock(), path, isChange };
}

/**
 * Whether the session can be refreshed without user interaction. Allowed once in 20 s, so that a provider
 * that returns no new session does not cause a redirect loop.
 */
const maySilentlyRefresh = (c: Context<Env>, deps: DashboardDeps): boolean =>
  deps.admin.handshakeUrl === undefined &&
  sessionExpired(c.req.raw, deps.clock()) &&
  refreshState(c.req.raw, deps) === undefined;

/** Redirects to the identity provider, which recognises the user and redirects back with a new token. */
function refreshSession(c: Context<Env>, path: string, deps: DashboardDeps) {
  c.header(
    "set-cookie",
    `${refreshCookie(c.req.raw, deps)}=1; Max-Age=20; HttpOnly; ${cookieAttributes(c, deps)}`,
  );
  c.header("cache-control", "no-store");
  return c.redirect(signInAddress(c.req.raw, returnPath(path), deps), 302);
}

/**
 * Responds to a request without a valid session. Browsers are redirected to sign-in, and polls of the browser
 * script get 401.
 */
export async function sendUnauthenticated(c: Context<Env>, refused: Refusal, deps: DashboardDeps) {
  if (c.req.method === "GET" && !isLive(c)) {
    if (await takeHandshake(c, deps)) return c.redirect(withoutHandshake(c), 302);
    // Other refusals mean that the session is valid but has no access. The provider would return the same
    // session, in an endless loop.
    if (refused.code === "admin.unauthenticated" && mayStartHandshake(c.req.raw, deps))
      return startHandshake(c, withoutHandshake(c), deps);
  }
  if (isLive(c) && sessionExpired(c.req.raw, deps.clock())) c.header(EXPIRED_HEADER, "1");
  if (refused.code !== "admin.unauthenticated" || isLive(c)) return sendFailure(c, refused, deps);
  const url = new URL(c.req.url);
  if (c.req.method === "GET" && maySilentlyRefresh(c, deps))
    return refreshSession(c, url.pathname + url.search, deps);
  // The input of a form is not kept. After sign-in, the user returns to the page that contains the form.
  const isForm = c.req.method !== "GET";
  const back = isForm ? returnPath(pageOfForm(url.pathname)) : withoutHandshake(c);
  const query = new URLSearchParams({ ...(back !== "/" && { return: back }), ...(isForm && { sent: "" }) });
  const to = query.size === 0 ? "/sign-in" : `/sign-in?${query}`;
  c.header("cache-control", "no-store");
  return c.redirect(to, c.req.method === "GET" ? 302 : 303);
}
