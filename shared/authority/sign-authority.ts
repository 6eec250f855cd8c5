import { SignJWT } from "jose";
import type { AttributeMap } from "../table/dynamo.ts";
import type {
  AuthorityClaims,
  AuthorityHeadClaims,
  AuthorityHeadItem,
  AuthorityItem,
} from "../table/items/authority.ts";
import { authorityHeadKey, authorityKey, deviceRecordKey, type Key } from "../table/keys.ts";
import type { ControlKey } from "../wire/control-claims.ts";
import { hashOfCovered } from "./covered-members.ts";
import { AUTHORITY_TYPE, DEVICE_TYPE, HEAD_TYPE, ISSUER } from "./types.ts";

const sign = (key: ControlKey, typ: string, claims: object): Promise<string> =>
  new SignJWT({ ...claims, iss: ISSUER })
    .setProtectedHeader({ alg: "EdDSA", typ, kid: key.kid })
    .sign(key.key);

/** What a record of this item, as it is stored from now on, says. */
export async function claimsOf(
  tenantId: string,
  item: AttributeMap,
  version: number,
): Promise<AuthorityClaims> {
  const until = item.expiresAt?.N;
  return {
    tenant: tenantId,
    item: item.SK!.S!,
    version,
    hash: await hashOfCovered(item),
    ...(until !== undefined && { until: Number(until) }),
  };
}

/** The record of an item that an admin node writes. */
export async function signAuthority(
  control: ControlKey,
  claims: AuthorityClaims,
): Promise<Key & AuthorityItem> {
  const { tenant: tenantId, item } = claims;
  const signature = await sign(control, AUTHORITY_TYPE, claims);
  return { ...authorityKey(tenantId, item), type: "Authority", tenantId, item, signature };
}

/** The record of a device that has just enrolled, by an enrol key (or a control key, on a node that has no other). */
export async function signNewDevice(
  enrol: ControlKey,
  tenantId: string,
  asset: AttributeMap,
): Promise<Key & AuthorityItem> {
  const claims = await claimsOf(tenantId, asset, 0);
  const signature = await sign(enrol, DEVICE_TYPE, claims);
  const key = deviceRecordKey(tenantId, asset.assetId!.S!);
  return { ...key, type: "Authority", tenantId, item: claims.item, signature };
}

export async function signAuthorityHead(
  control: ControlKey,
  claims: AuthorityHeadClaims,
): Promise<Key & AuthorityHeadItem> {
  const { tenant: tenantId } = claims;
  const signature = await sign(control, HEAD_TYPE, claims);
  return { ...authorityHeadKey(tenantId), type: "AuthorityHead", tenantId, signature };
}
