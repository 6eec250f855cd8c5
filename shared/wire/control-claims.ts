import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from "jose";
import type { z } from "zod";
import { assetId, tenantId } from "../ids.ts";
import { type ControlKey, ISSUER, signStatement } from "./sign-statement.ts";

/** Claims with which each token of the control plane names its host, so that it is not valid for another host. */
export const addressee = { tenant: tenantId, asset: assetId };
type Addressed = { tenant: string; asset: string };

/** Signs claims as compact JWS (RFC 7515, EdDSA). `typ` prevents one kind of token from being used as another. */
export const signClaims = (control: ControlKey, typ: string, claims: Addressed): Promise<string> =>
  signStatement(control, typ, claims);

/**
 * Verifies claims. They must be signed with one of the pinned keys and this `typ`, name this asset, and not
 * have expired. Throws otherwise (jose's error, ZodError, or an Error for another asset).
 */
export async function verifyClaims<Claims extends Addressed>(
  jws: string,
  { typ, schema }: { typ: string; schema: z.ZodType<Claims> },
  pinned: JSONWebKeySet,
  self: { tenantId: string; assetId: string },
  nowMs: number,
): Promise<Claims> {
  const { payload } = await jwtVerify(jws, createLocalJWKSet(pinned), {
    algorithms: ["EdDSA"],
    typ,
    issuer: ISSUER,
    currentDate: new Date(nowMs),
    requiredClaims: ["iat", "exp"],
  });
  const claims = schema.parse(payload);
  if (claims.tenant !== self.tenantId || claims.asset !== self.assetId)
    throw new Error(`it is for another asset (${typ})`);
  return claims;
}
