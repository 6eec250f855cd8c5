import { createLocalJWKSet, type JSONWebKeySet, jwtVerify, SignJWT } from "jose";
import { type EnrolmentClaims, enrolmentClaims } from "./enrolment.ts";
import { type ControlKey, ISSUER } from "./sign-statement.ts";

const TYPE = "lz-enrolment+jwt";

/** Signs a token with which `uses` devices can enrol in the tenant until it expires. */
export function signEnrolmentToken(
  control: ControlKey,
  claims: EnrolmentClaims,
  expiresAtSeconds: number,
): Promise<string> {
  return new SignJWT({ ...claims, iss: ISSUER })
    .setProtectedHeader({ alg: "EdDSA", typ: TYPE, kid: control.kid })
    .setExpirationTime(expiresAtSeconds)
    .sign(control.key);
}

/** Verifies a token. It must be signed with a control key and not have expired. Throws otherwise. */
export async function verifyEnrolmentToken(
  token: string,
  controlKeys: JSONWebKeySet,
  nowMs: number,
): Promise<EnrolmentClaims & { exp: number }> {
  const { payload } = await jwtVerify(token, createLocalJWKSet(controlKeys), {
    algorithms: ["EdDSA"],
    typ: TYPE,
    issuer: ISSUER,
    currentDate: new Date(nowMs),
    requiredClaims: ["exp"],
  });
  return { ...enrolmentClaims.parse(payload), exp: payload.exp! };
}
