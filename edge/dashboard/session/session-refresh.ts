import { fromBase64url, fromUtf8 } from "../../../shared/encoding/bytes.ts";
import { SESSION_COOKIE } from "../../auth/authenticate.ts";
import type { Deps } from "../../deps.ts";
import { isSecure } from "../../http/public-origin.ts";

/**
 * Name of the cookie that holds the state of a round trip to the identity provider. Over https it has the prefix
 * `__Host-` (RFC 6265bis §4.1.3.2), so that a sibling domain cannot set it and sign the user in to another account.
 */
export const refreshCookie = (request: Request, deps: Pick<Deps, "publicOrigin">): string =>
  isSecure(request, deps) ? "__Host-lz_refreshing" : "lz_refreshing";

/** State of the current round trip to the identity provider. Absent outside of a round trip. */
export const refreshState = (request: Request, deps: Pick<Deps, "publicOrigin">): string | undefined =>
  new RegExp(`(?:^|; )${refreshCookie(request, deps)}=([^;]*)`).exec(
    request.headers.get("cookie") ?? "",
  )?.[1];

/**
 * Whether the request has an expired session token. Clerk's tokens live one minute, and the provider issues a new one
 * while the session lasts. The token is not verified, because the result only selects a redirect.
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
