import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from "jose";
import type { z } from "zod";
import { isCheckpointSigned } from "../containment/custody-checkpoint.ts";
import { evictOldest } from "../evict-oldest.ts";
import type { AttributeMap } from "../table/dynamo.ts";
import {
  type AuthorityClaims,
  type AuthorityHeadClaims,
  authorityClaims,
  authorityHeadClaims,
  authorityHeadItem,
  authorityItem,
} from "../table/items/authority.ts";
import type { CustodyHeadItem } from "../table/items/custody.ts";
import { decodeItem } from "../table/items/decode.ts";
import { tenantItem } from "../table/items/tenant.ts";
import { ASSET_PREFIX } from "../table/keys.ts";
import { SETTINGS_TYPE, type SettingsClaims, settingsClaims } from "../wire/agent-settings.ts";
import { ISSUER } from "../wire/sign-statement.ts";
import { isIdOfKey } from "./asset-id.ts";
import { hashOfCovered } from "./covered-members.ts";
import { AUTHORITY_TYPE, AuthorityFault, DEVICE_TYPE, HEAD_TYPE } from "./types.ts";

/** Maximum number of cached verified signatures. The oldest is removed first. */
const REMEMBERED_MAX = 20_000;

export type Verifier = {
  /** Verifies a record in the partition `AUTHORITY` and returns its claims. Throws {@link AuthorityFault}. */
  record(record: AttributeMap, tenantId: string, item: string): Promise<AuthorityClaims>;
  /** Verifies a record in the partition `DEVICES` and returns its claims. Throws {@link AuthorityFault}. */
  device(record: AttributeMap, tenantId: string, item: string): Promise<AuthorityClaims>;
  head(record: AttributeMap, tenantId: string): Promise<AuthorityHeadClaims>;
  /** Whether the end of a tenant's custody log was signed with a control key. */
  custody(head: CustodyHeadItem, tenantId: string): Promise<boolean>;
  /**
   * Returns the agent settings from the record of a tenant's settings. Throws if they were not signed with a
   * control key.
   */
  agentSettings(record: AttributeMap, tenantId: string): Promise<SettingsClaims>;
};

/**
 * Verifies authority records, and caches verified signatures.
 *
 * @param control public control keys
 * @param enrol public enrol keys. A control key can also sign new devices.
 */
export function createVerifier(control: JSONWebKeySet, enrol: JSONWebKeySet = { keys: [] }): Verifier {
  const controlKeys = createLocalJWKSet(control);
  const deviceKeys = createLocalJWKSet({ keys: [...enrol.keys, ...control.keys] });
  const remembered = new Map<string, unknown>();

  async function verified<Schema extends z.ZodType>(
    signature: string,
    { typ, schema, keys }: { typ: string; schema: Schema; keys: typeof controlKeys },
  ): Promise<z.infer<Schema>> {
    const name = `${typ} ${signature}`;
    const known = remembered.get(name);
    if (known !== undefined) return known as z.infer<Schema>;
    const { payload } = await jwtVerify(signature, keys, { algorithms: ["EdDSA"], typ, issuer: ISSUER });
    const claims = schema.parse(payload);
    evictOldest(remembered, REMEMBERED_MAX);
    remembered.set(name, claims);
    return claims;
  }

  async function recordOf(record: AttributeMap, tenantId: string, item: string, isDevice: boolean) {
    const fault = (code: "signature" | "misplaced", cause?: unknown) =>
      new AuthorityFault(tenantId, item, code, { cause });
    const how = isDevice
      ? { typ: DEVICE_TYPE, schema: authorityClaims, keys: deviceKeys }
      : { typ: AUTHORITY_TYPE, schema: authorityClaims, keys: controlKeys };
    const claims = await Promise.resolve()
      .then(() => verified(decodeItem(authorityItem, record).signature, how))
      .catch((error: unknown) => {
        throw fault("signature", error);
      });
    if (claims.tenant !== tenantId || claims.item !== item) throw fault("misplaced");
    return claims;
  }

  return {
    custody: (head, tenantId) => isCheckpointSigned({ ...head, tenantId }, control),
    async agentSettings(record, tenantId) {
      const how = { typ: SETTINGS_TYPE, schema: settingsClaims, keys: controlKeys };
      const claims = await verified(record.agentSettings?.S ?? "", how);
      if (claims.tenant !== tenantId) throw new AuthorityFault(tenantId, "METADATA", "misplaced");
      return claims;
    },
    record: (record, tenantId, item) => recordOf(record, tenantId, item, false),
    device: (record, tenantId, item) => recordOf(record, tenantId, item, true),
    async head(record, tenantId) {
      const how = { typ: HEAD_TYPE, schema: authorityHeadClaims, keys: controlKeys };
      const claims = await Promise.resolve()
        .then(() => verified(decodeItem(authorityHeadItem, record).signature, how))
        .catch((error: unknown) => {
          throw new AuthorityFault(tenantId, "HEAD", "head", { cause: error });
        });
      if (claims.tenant !== tenantId) throw new AuthorityFault(tenantId, "HEAD", "head");
      return claims;
    },
  };
}

/** Throws {@link AuthorityFault} unless the covered members of the item match the hash in the claims. */
export async function checkCovered(item: AttributeMap, claims: AuthorityClaims): Promise<void> {
  if ((await hashOfCovered(item)) !== claims.hash)
    throw new AuthorityFault(claims.tenant, claims.item, "mismatch");
}

/**
 * Checks the limits of an enrol key. It can only sign a new device whose id was derived from its key, and
 * which no administrator has changed yet.
 */
export async function checkNewDevice(
  asset: AttributeMap,
  { tenant, item, version }: AuthorityClaims,
): Promise<void> {
  const isNew =
    version === 0 &&
    asset.type?.S === "Asset" &&
    asset.status?.S === "ACTIVE" &&
    asset.generation?.N === "0" &&
    ["wish", "revokedAt", "keyRotatedAt", "offlineReleaseOf"].every((name) => asset[name] === undefined);
  if (!isNew) throw new AuthorityFault(tenant, item, "notNew");
  if (!(await isIdOfKey(item.slice(ASSET_PREFIX.length), tenant, asset.deviceKey?.S ?? "")))
    throw new AuthorityFault(tenant, item, "deviceKey");
}

/**
 * Throws {@link AuthorityFault} if the record of a tenant's settings contains different agent settings.
 * Accepts any other item.
 */
export async function checkAgentSettings(
  verifier: Verifier,
  tenantId: string,
  { item, record }: { item: AttributeMap | undefined; record: AttributeMap | undefined },
): Promise<void> {
  if (item?.type?.S !== "Tenant" || !record) return;
  const { heartbeatIntervalMs, clientDirectories } = decodeItem(tenantItem, item);
  const given = await verifier.agentSettings(record, tenantId).catch(() => undefined);
  const isSame =
    given?.heartbeatIntervalMs === heartbeatIntervalMs && given.clientDirectories === clientDirectories;
  if (!isSame) throw new AuthorityFault(tenantId, item.SK!.S!, "agentSettings");
}
