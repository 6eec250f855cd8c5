import { decodeJwt, errors, jwtVerify } from "jose";
import { accept, refuse, type Verdict } from "../../shared/verdict.ts";
import { readClaims } from "./clerk-claims.ts";
import { clerkCookies } from "./clerk-cookies.ts";
import type { AuthDeps } from "./deps.ts";
import { type Admin, type Permission, permissionsOf, roleOf } from "./permissions.ts";

const READ_ONLY: ReadonlySet<Permission> = new Set(["read", "read-events"]);

/** Whether the caller has this permission. An impersonated session can only read. */
export const may = (admin: Admin, permission: Permission): boolean =>
  admin.permissions.includes(permission) && (READ_ONLY.has(permission) || !admin.impersonated);

export const mayRespond = (admin: Admin): boolean => may(admin, "contain");

/**
 * Authenticates a session token of the identity provider. The token must be signed with RS256 by the
 * configured issuer, be within its validity period, and name an authorised party. A pending session is
 * refused. The tenant is the organisation in the token.
 *
 * @returns `admin.unauthenticated`, `admin.no-organisation` or `admin.forbidden` ⏎ @throws Error if there are
 * no keys to verify with
 */
export async function authenticate(request: Request, deps: AuthDeps): Promise<Verdict<Admin>> {
  const token = bearerToken(request) ?? sessionCookie(request, deps);
  if (!token) return refuse("admin.unauthenticated");
  const verified = await jwtVerify(token, deps.admin.keys, {
    algorithms: ["RS256"],
    issuer: deps.admin.issuer,
    currentDate: new Date(deps.clock()),
    clockTolerance: 5,
    requiredClaims: ["exp", "iat", "sub", "sid"],
  }).catch((error: unknown) => {
    if (isKeyServerFault(error)) throw error;
    return undefined;
  });
  if (!verified) return refuse("admin.unauthenticated");
  if (!isAuthorizedParty(verified.payload.azp, deps)) return refuse("admin.unauthenticated");
  const session = readClaims(verified.payload);
  if (!session.ok) return session;
  const { names, authorizedParty: _checkedAbove, ...who } = session.value;
  const role = roleOf(names, deps.admin.roles);
  if (!role)
    return refuse(
      "admin.forbidden",
      "your organisation role has no access: ask an administrator to add it to LZ_ADMIN_ROLES",
    );
  return accept({ ...who, role, via: "session", permissions: permissionsOf(role) });
}

/**
 * Whether the session was issued for this site. A token without the `azp` claim is refused unless
 * `LZ_ADMIN_AZP` is `optional`.
 */
const isAuthorizedParty = (azp: unknown, { admin }: AuthDeps): boolean =>
  azp === undefined ? admin.allowsMissingParty === true : admin.parties.some((party) => party === azp);

/**
 * Whether verification failed because there are no keys to verify with. This is a server fault (503), not a
 * bad token (401). For a bad token, jose throws a JOSEError.
 */
const isKeyServerFault = (error: unknown): boolean => !(error instanceof errors.JOSEError);

/** The bearer credential (RFC 6750 §2.1): a session token or an API key. The scheme is case-insensitive (RFC 9110 §11.1). */
export function bearerToken(request: Request): string | undefined {
  return /^bearer +([A-Za-z0-9._-]{1,8192})$/i.exec(request.headers.get("authorization") ?? "")?.[1];
}

/** Name of Clerk's session cookie. */
export const SESSION_COOKIE = "__session";

/**
 * Session token from the cookies. Returns the first `__session` or `__session_<suffix>` cookie whose token
 * names the configured issuer.
 */
function sessionCookie(request: Request, { admin }: AuthDeps): string | undefined {
  const found = clerkCookies(request, SESSION_COOKIE).filter((value) =>
    /^[A-Za-z0-9._-]{1,8192}$/.test(value),
  );
  return found.find((token) => issuerOf(token) === admin.issuer) ?? found[0];
}

/** Issuer of a token, read without verification. The result is only used to choose among cookies. */
function issuerOf(token: string): string | undefined {
  try {
    return decodeJwt(token).iss;
  } catch {
    return undefined;
  }
}
