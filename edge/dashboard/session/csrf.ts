import { base64url, fromBase64url, utf8 } from "../../../shared/encoding/bytes.ts";
import type { Admin as Caller } from "../../auth/permissions.ts";
import type { DashboardDeps } from "../deps.ts";

/**
 * Minimum lifetime of a token in seconds. The expiry is rounded up to {@link ROUND_SECONDS}, so a token is
 * valid for two to three hours.
 */
const LIFETIME_SECONDS = 2 * 3600;
const ROUND_SECONDS = 3600;

type Signing = Pick<DashboardDeps, "clock"> & { admin: Pick<DashboardDeps["admin"], "csrfKeys"> };

/** The user, tenant and session to which a CSRF token is bound. */
type Admin = Pick<Caller, "tenantId" | "userId" | "sessionId">;

const signed = (admin: Admin, expiresAtSeconds: number) =>
  utf8(JSON.stringify(["form", admin.tenantId, admin.userId, admin.sessionId, expiresAtSeconds]));

/**
 * Creates a CSRF token `<expiry>.<HMAC>` that is bound to the tenant, user and session. The expiry is rounded
 * to the hour, so that the markup and the ETag of an unchanged page stay the same.
 */
export async function csrfToken(admin: Admin, deps: Signing): Promise<string> {
  const seconds = Math.floor(deps.clock() / 1000);
  const expiry = Math.ceil((seconds + LIFETIME_SECONDS) / ROUND_SECONDS) * ROUND_SECONDS;
  const mac = await crypto.subtle.sign("HMAC", deps.admin.csrfKeys[0], signed(admin, expiry));
  return `${expiry}.${base64url(new Uint8Array(mac))}`;
}

/** Whether the token was issued to this session and has not expired. WebCrypto compares in constant time. */
export async function isCsrfToken(token: string, admin: Admin, deps: Signing): Promise<boolean> {
  const [, expiry, mac] = /^(\d{10})\.([A-Za-z0-9_-]{43})$/.exec(token) ?? [];
  const bytes = mac === undefined ? undefined : fromBase64url(mac);
  if (!bytes) return false;
  if (!(Number(expiry) > deps.clock() / 1000)) return false;
  for (const key of deps.admin.csrfKeys)
    if (await crypto.subtle.verify("HMAC", key, bytes, signed(admin, Number(expiry)))) return true;
  return false;
}

/**
 * Idempotency key of a change. `about` names the action, the object that it changes, and the object's version
 * (generation, or time of opening). Submitting a form twice sends the same key, even from two windows. After
 * the change, a new form has another key.
 */
export async function changeKey(
  admin: Admin,
  about: readonly (string | number)[],
  deps: Signing,
): Promise<string> {
  const named = ["change", admin.tenantId, admin.sessionId, ...about];
  const mac = await crypto.subtle.sign("HMAC", deps.admin.csrfKeys[0], utf8(JSON.stringify(named)));
  return base64url(new Uint8Array(mac).slice(0, 18));
}

/**
 * Whether a POST request comes from a page of this site. Browsers send `Origin` with every POST (Fetch,
 * "append a request Origin header") and `Sec-Fetch-Site` on secure origins. A request without these headers
 * is rejected.
 */
export function isSameSite(
  request: Request,
  {
    publicOrigin,
    admin: { parties },
  }: Pick<DashboardDeps, "publicOrigin"> & { admin: Pick<DashboardDeps["admin"], "parties"> },
): boolean {
  const site = request.headers.get("sec-fetch-site");
  if (site !== null && site !== "same-origin") return false;
  const origin = request.headers.get("origin");
  if (origin === null) return site === "same-origin";
  if (publicOrigin !== undefined) return origin === publicOrigin;
  // Behind a proxy that terminates TLS, the request URL has the scheme http. The origins of authorised
  // parties are therefore accepted too.
  return origin === new URL(request.url).origin || parties.includes(origin);
}
