import { createLocalJWKSet, type JSONWebKeySet, jwtVerify, SignJWT } from "jose";
import { type EnrolmentClaims, enrolmentClaims } from "./enrolment.ts";
import type { ControlKey } from "./sign-statement.ts";

const TYPE = "lz-enrolment+jwt";
const ISSUER = "lifecyclezero";

/** Token that lets `uses` devices into the tenant until it expires. */
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

/** Claims of a token the control key signed and that has not expired. Throws otherwise. */
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
