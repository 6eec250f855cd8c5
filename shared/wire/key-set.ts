import { createLocalJWKSet, type JSONWebKeySet, jwtVerify, SignJWT } from "jose";
import { z } from "zod";
import { enrolmentAnswer } from "./enrolment.ts";
import { type ControlKey, ISSUER } from "./sign-statement.ts";

/** Public control keys that an agent pins. */
const pinnedKeys = enrolmentAnswer.shape.jwks;
export type PinnedKeys = z.infer<typeof pinnedKeys>;

const keySet = z.object({ keys: pinnedKeys.shape.keys, iat: z.int() });

const TYPE = "lz-keys+jwt";

/** Signs new control keys with a key that was valid before. Used to rotate a control key. */
export function signKeySet(control: ControlKey, keys: PinnedKeys, issuedAtSeconds: number): Promise<string> {
  return new SignJWT({ keys: keys.keys, iss: ISSUER })
    .setProtectedHeader({ alg: "EdDSA", typ: TYPE, kid: control.kid })
    .setIssuedAt(issuedAtSeconds)
    .sign(control.key);
}

/**
 * Returns the keys of a set that was signed with a pinned key. Throws otherwise, and the agent then keeps its
 * keys.
 */
export async function verifyKeySet(
  jws: string,
  pinned: JSONWebKeySet,
  nowMs: number,
): Promise<PinnedKeys & { issuedAtSeconds: number }> {
  const { payload } = await jwtVerify(jws, createLocalJWKSet(pinned), {
    algorithms: ["EdDSA"],
    typ: TYPE,
    issuer: ISSUER,
    currentDate: new Date(nowMs),
    requiredClaims: ["iat"],
  });
  const { keys, iat } = keySet.parse(payload);
  return { keys, issuedAtSeconds: iat };
}
