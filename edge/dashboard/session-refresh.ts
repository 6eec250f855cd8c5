import { fromBase64url, fromUtf8 } from "../../shared/bytes.ts";
import { SESSION_COOKIE } from "../admin/authenticate.ts";

/** Set for the time of one round trip to the provider. */
export const REFRESH_COOKIE = "lz_refreshing";

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
