import { jwtVerify } from "jose";
import { z } from "zod";
import { tenantId } from "../../shared/ids.ts";
import { accept, refuse, type Verdict } from "../../shared/refusal.ts";
import type { Deps } from "../deps.ts";

export const ROLES = ["viewer", "analyst", "responder", "admin"] as const;
export type Role = (typeof ROLES)[number];

/** A person (or their session) as the identity provider vouched for it. */
export type Admin = {
  tenantId: string;
  userId: string;
  sessionId: string;
  role: Role;
  /** Somebody else acts in this person's name: may look, may not change anything. */
  impersonated: boolean;
};

const BY_CLERK_ROLE: Readonly<Record<string, Role>> = {
  admin: "admin",
  responder: "responder",
  analyst: "analyst",
  viewer: "viewer",
  member: "viewer",
};

/** Clerk session token, version 1: flat `org_*` claims; version 2: `o`. clerk.com/docs, "Session tokens". */
const claims = z.object({
  sub: z.string().min(1).max(200),
  sid: z.string().min(1).max(200),
  azp: z.string(),
  sts: z.string().optional(),
  act: z.unknown().optional(),
  org_id: tenantId.optional(),
  org_role: z.string().optional(),
  o: z.object({ id: tenantId, rol: z.string() }).optional(),
});

/** Mutations allow this much; reading needs only a role. */
export const mayRespond = (admin: Admin): boolean =>
  !admin.impersonated && (admin.role === "admin" || admin.role === "responder");
export const mayAdminister = (admin: Admin): boolean => !admin.impersonated && admin.role === "admin";

/**
 * Verifies an organisation session (RS256 only, issuer, expiry, not-before, authorised party, not pending).
 * The tenant is the organisation of the token and comes from nowhere else.
 */
export async function authenticate(request: Request, deps: Deps): Promise<Verdict<Admin>> {
  const token = bearerToken(request) ?? sessionCookie(request);
  if (!token) return refuse("admin.unauthenticated");
  const verified = await jwtVerify(token, deps.admin.keys, {
    algorithms: ["RS256"],
    issuer: deps.admin.issuer,
    currentDate: new Date(deps.clock()),
    clockTolerance: 5,
    requiredClaims: ["exp", "iat", "sub", "sid", "azp"],
  }).catch((error: unknown) => {
    if (isKeyServerFault(error)) throw error;
    return undefined;
  });
  const parsed = claims.safeParse(verified?.payload);
  if (!parsed.success) return refuse("admin.unauthenticated");
  const { sub, sid, azp, sts, act, org_id, org_role, o } = parsed.data;
  if (!deps.admin.parties.includes(azp) || sts === "pending") return refuse("admin.unauthenticated");
  const organisation = o ? { id: o.id, role: o.rol } : { id: org_id, role: org_role };
  // A token that carries both shapes and contradicts itself is nobody's.
  if (o && org_id !== undefined && org_id !== o.id) return refuse("admin.unauthenticated");
  if (!organisation.id) return refuse("admin.forbidden", "choose an organisation first");
  const role = BY_CLERK_ROLE[(organisation.role ?? "").replace(/^org:/, "")];
  if (!role) return refuse("admin.forbidden", "this organisation role has no access");
  return accept({
    tenantId: organisation.id,
    userId: sub,
    sessionId: sid,
    role,
    impersonated: act !== undefined,
  });
}

/** The keys could not be fetched: not the caller's fault, so it must not look like a bad token. */
const isKeyServerFault = (error: unknown): boolean =>
  error instanceof TypeError || (error as { code?: string }).code === "ERR_JWKS_TIMEOUT";

function bearerToken(request: Request): string | undefined {
  return /^Bearer ([A-Za-z0-9._-]{1,8192})$/.exec(request.headers.get("authorization") ?? "")?.[1];
}

/** Name of the cookie in which Clerk keeps the session token. */
export const SESSION_COOKIE = "__session";

function sessionCookie(request: Request): string | undefined {
  const cookies = request.headers.get("cookie") ?? "";
  return /(?:^|; )__session=([A-Za-z0-9._-]{1,8192})(?:;|$)/.exec(cookies)?.[1];
}
