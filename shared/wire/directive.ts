import { createLocalJWKSet, type CryptoKey as JoseKey, type JSONWebKeySet, jwtVerify, SignJWT } from "jose";
import { z } from "zod";
import { assetId, tenantId } from "../ids.ts";
import { mode } from "./heartbeat.ts";
import { text } from "./text.ts";

/** Wish of an admin that the agent obeys: signed once by the control key, handed on by the edge untouched. */
export const directive = z.object({
  tenant: tenantId,
  asset: assetId,
  /** Grows by one with each accepted change; an agent never goes back. */
  generation: z.int().min(1),
  action: z.enum(["isolate", "release"]),
  mode,
  /** What the person at the host is told. */
  notice: text(300).optional(),
  iat: z.int(),
  exp: z.int(),
});
export type Directive = z.infer<typeof directive>;

const TYPE = "lz-directive+jwt";
const ISSUER = "lifecyclezero";

/** An offline host that comes back later than this needs a new directive. */
export const DIRECTIVE_LIFETIME_SECONDS = 30 * 24 * 3600;

export type ControlKey = { kid: string; key: JoseKey };

export function signDirective(control: ControlKey, claims: Directive): Promise<string> {
  return new SignJWT({ ...claims, iss: ISSUER })
    .setProtectedHeader({ alg: "EdDSA", typ: TYPE, kid: control.kid })
    .sign(control.key);
}

/**
 * Claims of a directive that one of the pinned keys signed for this very asset and that has not expired.
 * Throws (jose's error or ZodError) otherwise. Whether its generation is new is the caller's to ask.
 */
export async function verifyDirective(
  jws: string,
  pinned: JSONWebKeySet,
  self: { tenantId: string; assetId: string },
  nowMs: number,
): Promise<Directive> {
  const { payload } = await jwtVerify(jws, createLocalJWKSet(pinned), {
    algorithms: ["EdDSA"],
    typ: TYPE,
    issuer: ISSUER,
    currentDate: new Date(nowMs),
    requiredClaims: ["iat", "exp"],
  });
  const claims = directive.parse(payload);
  if (claims.tenant !== self.tenantId || claims.asset !== self.assetId) {
    throw new Error("refused a directive that names another asset");
  }
  return claims;
}
