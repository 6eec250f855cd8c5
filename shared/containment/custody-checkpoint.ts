import { createLocalJWKSet, type JSONWebKeySet, type JWTPayload, jwtVerify, SignJWT } from "jose";
import type { CustodyHeadItem } from "../table/items/custody.ts";
import type { ControlKey } from "../wire/sign-statement.ts";

const TYPE = "lz-checkpoint+jwt";

type Head = Pick<CustodyHeadItem, "tenantId" | "hash" | "count">;

/**
 * Signs the end of a custody log, which is the hash and the number of its newest record, as compact JWS (RFC
 * 7515, EdDSA).
 *
 * @param atMs time of the newest record, in ms since 1970
 */
export const signCheckpoint = (
  { tenantId, hash, count }: Head,
  atMs: number,
  control: ControlKey,
): Promise<string> =>
  new SignJWT({ tenant: tenantId, hash, count })
    .setProtectedHeader({ alg: "EdDSA", typ: TYPE, kid: control.kid })
    .setIssuedAt(Math.floor(atMs / 1000))
    .sign(control.key);

/** Whether this head was signed with one of these keys. */
export async function isCheckpointSigned(
  head: Head & Pick<CustodyHeadItem, "checkpoint">,
  keys: JSONWebKeySet,
): Promise<boolean> {
  const how = { algorithms: ["EdDSA"], typ: TYPE };
  const verified = await jwtVerify(head.checkpoint, createLocalJWKSet(keys), how).catch(() => undefined);
  return verified !== undefined && namesHead(verified.payload, head);
}

/** Whether the claims of a checkpoint are about this head. */
export const namesHead = (claims: JWTPayload, { tenantId, hash, count }: Head): boolean =>
  claims.tenant === tenantId && claims.hash === hash && claims.count === count;
