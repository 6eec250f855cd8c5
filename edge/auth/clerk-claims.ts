import { z } from "zod";
import { tenantId } from "../../shared/ids.ts";
import { accept, refuse, type Verdict } from "../../shared/verdict.ts";

/**
 * An empty string or null. Clerk's JWT templates produce one of these values for a person without an active
 * organisation.
 */
const none = z.literal(["", null]).transform(() => undefined);

/**
 * Claims of a Clerk session token (clerk.com/docs, "Session tokens"). Version 1 has flat `org_*` claims.
 * Version 2 has one claim `o` that contains the organisation, the role, the permission names, and one bitmask
 * per feature over these names.
 */
const claims = z.object({
  sub: z.string().min(1).max(200),
  sid: z.string().min(1).max(200),
  /** Origin that requested the session. Absent if the sign-in request had no `Origin` header. */
  azp: z.string().optional(),
  sts: z.string().optional(),
  act: z.unknown().optional(),
  org_id: none.or(tenantId).optional(),
  org_role: none.or(z.string().max(200)).optional(),
  org_permissions: z.array(z.string().max(200)).max(200).optional(),
  o: z
    .object({
      id: tenantId,
      rol: z.string().max(200),
      per: z.string().max(4000).optional(),
      fpm: z.string().max(4000).optional(),
    })
    .nullish()
    .transform((o) => o ?? undefined),
  fea: z.string().max(4000).optional(),
});

export type Session = {
  userId: string;
  sessionId: string;
  authorizedParty: string | undefined;
  tenantId: string;
  /** The role without its prefix `org:`, followed by the permissions in the format `org:feature:permission`. */
  names: string[];
  impersonated: boolean;
};

/**
 * Reads the claims of a verified token. Returns `admin.unauthenticated` if the session is pending (the
 * person has an open task at Clerk) or if claims contradict each other. Returns `admin.no-organisation` if
 * the token has no active organisation.
 */
export function readClaims(payload: unknown): Verdict<Session> {
  const parsed = claims.safeParse(payload);
  if (!parsed.success) return refuse("admin.unauthenticated");
  const { sub, sid, azp, sts, act, org_id, org_role, org_permissions, o, fea } = parsed.data;
  if (sts === "pending") return refuse("admin.unauthenticated");
  // A token with claims of both versions must have the same organisation and role in both sets of claims.
  if (o && org_id !== undefined && org_id !== o.id) return refuse("admin.unauthenticated");
  if (o && org_role !== undefined && bare(org_role) !== bare(o.rol)) return refuse("admin.unauthenticated");
  const organisation = o?.id ?? org_id;
  if (organisation === undefined) return refuse("admin.no-organisation");
  const permissions = o ? decodePermissions(fea, o.per, o.fpm) : (org_permissions ?? []);
  return accept({
    userId: sub,
    sessionId: sid,
    authorizedParty: azp,
    tenantId: organisation,
    names: [bare(o?.rol ?? org_role ?? ""), ...permissions],
    impersonated: act !== undefined && act !== null,
  });
}

const bare = (role: string): string => role.replace(/^org:/, "");

/**
 * Decodes the permissions of a version 2 token. `fea` lists features with their scope (`o:` organisation,
 * `u:` user). `per` lists permission names. `fpm` has one decimal bitmask for each feature of the
 * organisation, in the same order. Bit i of a mask, counted from the least significant, stands for permission
 * i. A mask can have more than 53 bits.
 *
 * An invalid mask, a bit without a name in `per`, and a mask without a feature grant no permission.
 */
export function decodePermissions(
  fea: string | undefined,
  per: string | undefined,
  fpm: string | undefined,
): string[] {
  if (!fea || !per || !fpm) return [];
  const list = (text: string) => text.split(",").map((part) => part.trim());
  const features = list(fea)
    .map((feature) => feature.split(":"))
    .filter((parts) => parts.length === 2 && parts[0]!.includes("o"))
    .map(([, name]) => name!);
  const permissions = list(per);
  const masks = list(fpm);
  return features.flatMap((feature, index) => {
    const mask = masks[index] ?? "";
    if (feature === "" || !/^\d{1,100}$/.test(mask)) return [];
    const bits = BigInt(mask);
    return permissions
      .filter((name, bit) => name !== "" && (bits >> BigInt(bit)) & 1n)
      .map((name) => `org:${feature}:${name}`);
  });
}
