import type { AttributeMap } from "../table/dynamo.ts";
import type {
  AuthorityClaims,
  AuthorityHeadClaims,
  AuthorityHeadItem,
  AuthorityItem,
} from "../table/items/authority.ts";
import { decodeItem } from "../table/items/decode.ts";
import { tenantItem } from "../table/items/tenant.ts";
import { authorityHeadKey, authorityKey, deviceRecordKey, type Key } from "../table/keys.ts";
import { signAgentSettings } from "../wire/agent-settings.ts";
import { type ControlKey, signStatement } from "../wire/sign-statement.ts";
import { hashOfCovered } from "./covered-members.ts";
import { AUTHORITY_TYPE, DEVICE_TYPE, HEAD_TYPE } from "./types.ts";
import type { Verifier } from "./verify-authority.ts";

/** Claims of the record for this item, as it will be stored. */
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

/** The record of an item that an admin node writes. `agentSettings`: only for the tenant's settings, see below. */
export async function signAuthority(
  control: ControlKey,
  claims: AuthorityClaims,
  agentSettings?: string,
): Promise<Key & AuthorityItem> {
  const { tenant: tenantId, item } = claims;
  const signature = await signStatement(control, AUTHORITY_TYPE, claims);
  return {
    ...authorityKey(tenantId, item),
    ...{ type: "Authority", tenantId, item, signature },
    ...(agentSettings !== undefined && { agentSettings }),
  };
}

/**
 * Signed settings for agents. Undefined unless the item is the tenant's settings. Agents reject a lower
 * version, so the version is higher than in the record before, even if a clock was set back.
 */
export async function signSettingsOf(
  control: ControlKey,
  { tenantId, item, before, nowMs }: SettingsToSign,
  verifier: Pick<Verifier, "agentSettings">,
): Promise<string | undefined> {
  if (item.type?.S !== "Tenant") return undefined;
  const { heartbeatIntervalMs, clientDirectories } = decodeItem(tenantItem, item);
  const given = before && (await verifier.agentSettings(before, tenantId).catch(() => undefined));
  const version = Math.max(nowMs, (given?.version ?? 0) + 1);
  return signAgentSettings(control, { tenant: tenantId, version, heartbeatIntervalMs, clientDirectories });
}

type SettingsToSign = {
  tenantId: string;
  item: AttributeMap;
  /** The item's authority record before this change. */
  before: AttributeMap | undefined;
  nowMs: number;
};

/** The record of a newly enrolled device, signed by an enrol key (or by a control key, on a node without one). */
export async function signNewDevice(
  enrol: ControlKey,
  tenantId: string,
  asset: AttributeMap,
): Promise<Key & AuthorityItem> {
  const claims = await claimsOf(tenantId, asset, 0);
  const signature = await signStatement(enrol, DEVICE_TYPE, claims);
  const key = deviceRecordKey(tenantId, asset.assetId!.S!);
  return { ...key, type: "Authority", tenantId, item: claims.item, signature };
}

export async function signAuthorityHead(
  control: ControlKey,
  claims: AuthorityHeadClaims,
): Promise<Key & AuthorityHeadItem> {
  const { tenant: tenantId } = claims;
  const signature = await signStatement(control, HEAD_TYPE, claims);
  return { ...authorityHeadKey(tenantId), type: "AuthorityHead", tenantId, signature };
}
