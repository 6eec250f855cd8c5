import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from "jose";
import type { z } from "zod";
import { assetId, tenantId } from "../ids.ts";
import { type ControlKey, ISSUER, signStatement } from "./sign-statement.ts";

/** Whom every order of the control plane names: nothing made for one host is worth anything on another. */
export const addressee = { tenant: tenantId, asset: assetId };
type Addressed = { tenant: string; asset: string };

/** Compact JWS (RFC 7515, EdDSA) of these claims. `typ` keeps one kind of order from passing for another. */
export const signClaims = (control: ControlKey, typ: string, claims: Addressed): Promise<string> =>
  signStatement(control, typ, claims);

/**
 * Claims that one of the pinned keys signed as this `typ`, for this very asset, and that have not expired.
 * Throws (jose's error, ZodError, or one that says that another asset is named) otherwise.
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
    throw new Error(`it names another asset (${typ})`);
  return claims;
}
