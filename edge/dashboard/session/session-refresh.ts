import { fromBase64url, fromUtf8 } from "../../../shared/encoding/bytes.ts";
import { SESSION_COOKIE } from "../../auth/authenticate.ts";
import { isSecure } from "../../http/public-origin.ts";
import type { DashboardDeps } from "../deps.ts";

/**
 * Name of the cookie with the state of a redirect to the identity provider and back. Over https, the name has
 * the prefix `__Host-` (RFC 6265bis §4.1.3.2). A sibling domain can therefore not set the cookie to sign the
 * user in to another account.
 */
export const refreshCookie = (request: Request, deps: Pick<DashboardDeps, "publicOrigin">): string =>
  isSecure(request, deps) ? "__Host-lz_refreshing" : "lz_refreshing";

/** State of the current redirect to the identity provider. Absent if no such redirect is in progress. */
export const refreshState = (
  request: Request,
  deps: Pick<DashboardDeps, "publicOrigin">,
): string | undefined =>
  new RegExp(`(?:^|; )${refreshCookie(request, deps)}=([^;]*)`).exec(
    request.headers.get("cookie") ?? "",
  )?.[1];

/**
 * Whether the request has an expired session token. Clerk's tokens are valid for one minute, and the provider
 * issues new ones until the session ends. The token is not verified, because the result only selects a
 * redirect.
 */
export function sessionExpired(request: Request, nowMs: number): boolean {
  const cookies = request.headers.get("cookie") ?? "";
  const found = new RegExp(`(?:^|; )${SESSION_COOKIE}=[A-Za-z0-9_-]+\\.([A-Za-z0-9_-]{1,8192})\\.`).exec(
    cookies,
  );
  const bytes = found ? fromBase64url(found[1]!) : undefined;
  if (!bytes) return false;
  try {
    const { exp } = JSON.parse(fromUtf8(bytes)) as { exp?: unknown };
    return typeof exp === "number" && exp * 1000 < nowMs;
  } catch {
    return false;
  }
}
