import { createLocalJWKSet, type JSONWebKeySet, jwtVerify, SignJWT } from "jose";
import { z } from "zod";
import { assetId, tenantId } from "../ids.ts";
import type { ControlKey } from "./directive.ts";

/**
 * Frees one stranded host once, without a connection: whoever is at the host types it in. Signed by the control
 * key, so that it is worth nothing on another host, after a later change, or after its expiry.
 */
export const releaseCode = z.object({
  tenant: tenantId,
  asset: assetId,
  /** Of the newest change when it was made: a host that obeyed a later one does not take it. */
  generation: z.int().min(1),
  jti: z.string().regex(/^[0-7][0-9A-HJKMNP-TV-Z]{25}$/),
  iat: z.int(),
  exp: z.int(),
});
export type ReleaseCode = z.infer<typeof releaseCode>;

const TYPE = "lz-release-code+jwt";
const ISSUER = "lifecyclezero";

export const RELEASE_CODE_HOURS_MAX = 72;

export function signReleaseCode(control: ControlKey, claims: ReleaseCode): Promise<string> {
  return new SignJWT({ ...claims, iss: ISSUER })
    .setProtectedHeader({ alg: "EdDSA", typ: TYPE, kid: control.kid })
    .sign(control.key);
}

/** Claims of a code that a pinned key signed for this very asset and that has not expired; throws otherwise. */
export async function verifyReleaseCode(
  jws: string,
  pinned: JSONWebKeySet,
  self: { tenantId: string; assetId: string },
  nowMs: number,
): Promise<ReleaseCode> {
  const { payload } = await jwtVerify(jws, createLocalJWKSet(pinned), {
    algorithms: ["EdDSA"],
    typ: TYPE,
    issuer: ISSUER,
    currentDate: new Date(nowMs),
    requiredClaims: ["iat", "exp"],
  });
  const claims = releaseCode.parse(payload);
  if (claims.tenant !== self.tenantId || claims.asset !== self.assetId)
    throw new Error("the code is for another asset");
  return claims;
}
