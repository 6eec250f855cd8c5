import { type CryptoKey as JoseKey, SignJWT } from "jose";

/** Issuer (`iss`) of every statement that the control plane signs. */
export const ISSUER = "lifecyclezero";

/** Signs claims without an expiry as compact JWS (RFC 7515, EdDSA). */
export const signStatement = (key: ControlKey, typ: string, claims: object): Promise<string> =>
  new SignJWT({ ...claims, iss: ISSUER })
    .setProtectedHeader({ alg: "EdDSA", typ, kid: key.kid })
    .sign(key.key);

export type ControlKey = { kid: string; key: JoseKey };
