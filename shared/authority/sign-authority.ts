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

/** Claims of the authority record for this item in its stored form. */
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

/**
 * Builds the authority record of an item that an admin node writes. `agentSettings` is only set for the
 * tenant's settings.
 */
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
 * Signs the agent settings. Returns undefined unless the item is the tenant's settings. Agents reject a lower
 * version. Therefore the version is higher than in the previous record, even if a clock was set back.
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
  /** Authority record of the item before this change. */
  before: AttributeMap | undefined;
  nowMs: number;
};

/**
 * Builds the authority record of a newly enrolled device. It is signed with an enrol key, or with a control
 * key on a node without an enrol key.
 */
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
