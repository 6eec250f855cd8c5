import { SignJWT } from "jose";
import type { ControlKey } from "./control-claims.ts";

export const ISSUER = "lifecyclezero";

/** Signs claims that do not expire, as compact JWS (RFC 7515, EdDSA). */
export const signStatement = (key: ControlKey, typ: string, claims: object): Promise<string> =>
  new SignJWT({ ...claims, iss: ISSUER })
    .setProtectedHeader({ alg: "EdDSA", typ, kid: key.kid })
    .sign(key.key);
