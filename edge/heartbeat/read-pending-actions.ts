import type { Authority } from "../../shared/authority/read-authority.ts";
import { unrecordedRelease } from "../../shared/containment/containment-state.ts";
import { canonicalJson } from "../../shared/encoding/canonical-json.ts";
import { type AttributeMap, type Dynamo, values } from "../../shared/table/dynamo.ts";
import { assetItem } from "../../shared/table/items/asset/asset.ts";
import { decodeItem } from "../../shared/table/items/decode.ts";
import { actionRequired, assetKey, GSI2 } from "../../shared/table/keys.ts";
import { type Clock, isRecent } from "../../shared/time/clock.ts";

/** A change that an asset has not yet applied: a directive without proof, or a revocation. */
export type PendingAction = {
  generation: number;
  directive?: string;
  expiresAtMs: number;
  revoked: boolean;
  /**
   * True if the host was released with a release code, and the custody log does not contain a record of that
   * release yet.
   */
  isFreedUnrecorded?: true;
};

export type ReadPendingActionsDeps = {
  dynamo: Dynamo;
  table: string;
  authority: Pick<Authority, "readMany" | "checkReports">;
  clock: Clock;
};

/** Whether the signature of the asset verified, and the time of that check. */
type Checked = { isSigned: boolean; atMs: number };

/** Results of earlier signature checks, by {@link actionName}. */
export type CheckedActions = Map<string, Checked>;

/**
 * Time after which an asset with an invalid signature is checked again. A repaired item is therefore accepted
 * soon.
 */
const REFUSED_MS = 60_000;

/** Identifies an action by all its fields. Therefore an action is checked again only if it has changed. */
const actionName = (
  assetId: string,
  { generation, revoked, expiresAtMs, directive }: PendingAction,
): string => `${assetId} ${generation} ${revoked} ${expiresAtMs} ${directive}`;

/**
 * Reads the pending actions of a tenant, by asset id. Leaves out assets whose signature is not valid. Write
 * access to the table alone is therefore not sufficient to revoke or isolate a host.
 *
 * @param checked updated in place: new checks are added, and checks of removed actions are deleted
 */
export async function readPendingActions(
  { dynamo, table, authority, clock }: ReadPendingActionsDeps,
  tenantId: string,
  checked: CheckedActions,
): Promise<Map<string, PendingAction>> {
  const actions = await queryPendingActions({ dynamo, table, authority }, tenantId);
  const nowMs = clock();
  const names = new Map([...actions].map(([assetId, action]) => [assetId, actionName(assetId, action)]));
  const isCurrent = ({ isSigned, atMs }: Checked) => isSigned || isRecent(atMs, nowMs, REFUSED_MS);
  const unchecked = [...names].filter(([, name]) => !(checked.has(name) && isCurrent(checked.get(name)!)));
  const stored = await authority.readMany(unchecked.map(([assetId]) => assetKey(tenantId, assetId)));
  for (const [index, [, name]] of unchecked.entries()) {
    const item = stored[index];
    checked.set(name, { isSigned: item !== undefined && !(item instanceof Error), atMs: nowMs });
  }
  const current = new Set(names.values());
  for (const name of checked.keys()) if (!current.has(name)) checked.delete(name);
  for (const [assetId, name] of names) if (!checked.get(name)?.isSigned) actions.delete(assetId);
  return actions;
}

/** Reads the tenant's whole sparse index (GSI2) in pages of at most 1 MB. */
async function queryPendingActions(
  { dynamo, table, authority }: Omit<ReadPendingActionsDeps, "clock">,
  tenantId: string,
) {
  const actions = new Map<string, PendingAction>();
  const startKeys = new Set<string>();
  let from: AttributeMap | undefined;
  do {
    const page = await dynamo("Query", {
      TableName: table,
      IndexName: GSI2,
      KeyConditionExpression: "GSI2PK = :tenant",
      ExpressionAttributeValues: values({ tenant: actionRequired(tenantId) }),
      ...(from && { ExclusiveStartKey: from }),
    });
    for (const stored of page.Items ?? []) {
      const asset = decodeItem(assetItem, stored);
      // A release counts as missing from the custody log only if the device signed its containment report.
      const isFreed = unrecordedRelease(asset) && unrecordedRelease(await authority.checkReports(asset));
      actions.set(asset.assetId, {
        generation: asset.wish?.generation ?? 0,
        ...(asset.wish && { directive: asset.wish.directive }),
        expiresAtMs: asset.wish ? Date.parse(asset.wish.expiresAt) : 0,
        revoked: asset.revokedAt !== undefined,
        ...(isFreed && { isFreedUnrecorded: true as const }),
      });
    }
    from = page.LastEvaluatedKey;
    // Stop if a page repeats the start key. Otherwise a table that ignores the key would cause an endless
    // loop, and no isolation would be delivered.
    const start = from && canonicalJson(from);
    if (start !== undefined && startKeys.has(start))
      throw new Error("the index returned the same start key twice");
    if (start !== undefined) startKeys.add(start);
  } while (from);
  return actions;
}
