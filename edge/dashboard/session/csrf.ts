import { base64url, fromBase64url, utf8 } from "../../../shared/encoding/bytes.ts";
import type { Admin as Caller } from "../../auth/permissions.ts";
import type { Deps } from "../../deps.ts";

/** A form may lie open this long before it must be loaded again; it lives between this and an hour more. */
const LIFETIME_SECONDS = 2 * 3600;
const ROUND_SECONDS = 3600;

type Signing = Pick<Deps, "clock"> & { admin: Pick<Deps["admin"], "csrfKeys"> };

/** Whose form it is. */
type Admin = Pick<Caller, "tenantId" | "userId" | "sessionId">;

const signed = (admin: Admin, expiresAtSeconds: number) =>
  utf8(JSON.stringify(["form", admin.tenantId, admin.userId, admin.sessionId, expiresAtSeconds]));

/**
 * `<expiry>.<HMAC>` over the person, their session and their tenant: of no use to anybody else. The expiry is
 * rounded to the hour, so that an unchanged page stays the same page, byte for byte.
 */
export async function csrfToken(admin: Admin, deps: Signing): Promise<string> {
  const seconds = Math.floor(deps.clock() / 1000);
  const expiry = Math.ceil((seconds + LIFETIME_SECONDS) / ROUND_SECONDS) * ROUND_SECONDS;
  const mac = await crypto.subtle.sign("HMAC", deps.admin.csrfKeys[0], signed(admin, expiry));
  return `${expiry}.${base64url(new Uint8Array(mac))}`;
}

/** Whether this very session was given the token and it has not expired. WebCrypto compares in constant time. */
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
 * Idempotency key of a change, by what it is about and where that stands now (its generation, its opening). The
 * same form sent twice carries the same key, in two windows too; once it has changed, the next has another one.
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
 * Whether a request that changes something was made by a page of this very site. Browsers send `Origin` with
 * every POST (Fetch, "append a request Origin header") and `Sec-Fetch-Site` on secure origins; one that sends
 * neither is no browser we know, and refused.
 */
export function isSameSite(
  request: Request,
  {
    publicOrigin,
    admin: { parties },
  }: Pick<Deps, "publicOrigin"> & { admin: Pick<Deps["admin"], "parties"> },
): boolean {
  const site = request.headers.get("sec-fetch-site");
  if (site !== null && site !== "same-origin") return false;
  const origin = request.headers.get("origin");
  if (origin === null) return site === "same-origin";
  if (publicOrigin !== undefined) return origin === publicOrigin;
  // Behind a proxy that ends TLS the request's URL says http, so the authorised parties count too.
  return origin === new URL(request.url).origin || parties.includes(origin);
}
