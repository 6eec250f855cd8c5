import { fromBase64url, fromUtf8 } from "../../../shared/encoding/bytes.ts";
import { SESSION_COOKIE } from "../../auth/authenticate.ts";
import type { Deps } from "../../deps.ts";
import { isSecure } from "../../http/public-origin.ts";

/**
 * Name of the cookie set for the time of one round trip to the provider. Over https it has the prefix that only this very
 * host can set (RFC 6265bis §4.1.3.2): a sibling domain could otherwise plant a state and sign people in as somebody else.
 */
export const refreshCookie = (request: Request, deps: Pick<Deps, "publicOrigin">): string =>
  isSecure(request, deps) ? "__Host-lz_refreshing" : "lz_refreshing";

/** State of the round trip under way. */
export const refreshState = (request: Request, deps: Pick<Deps, "publicOrigin">): string | undefined =>
  new RegExp(`(?:^|; )${refreshCookie(request, deps)}=([^;]*)`).exec(
    request.headers.get("cookie") ?? "",
  )?.[1];

/**
 * Whether the request carries a session token that is merely old. Clerk's live for a minute, and a new one is had
 * where one signs in. The token is not verified: what it says decides where a stranger is sent, and nothing else.
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
