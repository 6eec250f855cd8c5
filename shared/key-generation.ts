import { base64url } from "./encoding/bytes.ts";

/** Private Ed25519 JWK of the control plane (RFC 8037). */
export type ControlJwk = { kty: "OKP"; crv: "Ed25519"; kid: string; x: string; d: string };

type Random = (length: number) => Uint8Array;

/** A new secret of 32 random bytes as `version:base64url`, the format of `LZ_EDGE_SECRETS` and `LZ_QUEUE_KEYS`. */
export const newSecret = (version: string, random: Random): string => `${version}:${base64url(random(32))}`;

/** Generates a control key. `kid` must be new, because agents identify keys by it. */
export async function newControlKey(kid: string): Promise<ControlJwk> {
  const pair = (await crypto.subtle.generateKey("Ed25519", true, ["sign", "verify"])) as CryptoKeyPair;
  const { x, d } = await crypto.subtle.exportKey("jwk", pair.privateKey);
  return { kty: "OKP", crv: "Ed25519", kid, x: x!, d: d! };
}

/** The public part of the key. */
export const publicHalf = ({ kty, crv, kid, x }: ControlJwk) => ({ kty, crv, kid, x });
