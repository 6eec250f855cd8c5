import { AuthorityFault } from "../../shared/authority/types.ts";
import { unrecordedRelease } from "../../shared/containment/containment-state.ts";
import { isContained } from "../../shared/fleet/expiry.ts";
import { type AttributeMap, isConditionFailed, marshalItem, values } from "../../shared/table/dynamo.ts";
import { type AssetItem, assetItem } from "../../shared/table/items/asset/asset.ts";
import { decodeItem } from "../../shared/table/items/decode.ts";
import { actionRequired, assetKey, GSI2, indexSort } from "../../shared/table/keys.ts";
import { timestamp } from "../../shared/time/clock.ts";
import { SESSION_SECONDS } from "../../shared/wire/enrolment.ts";
import type { PlatformDeps } from "../platform/deps.ts";

/**
 * Minimum time that a revoked asset stays in the index of open actions, from which edges learn that its
 * sessions are invalid. It is twice the lifetime of a session. By then the last session has expired, even
 * with clock differences of up to half a lifetime.
 */
export const REVOKED_OPEN_MS = 2 * SESSION_SECONDS * 1000;
/** Maximum number of assets that one run removes from the index. */
export const CLOSED_MAX = 1000;
/** Maximum duration of a run, so that it does not delay the count of the fleet. */
const RUN_MS_MAX = 60_000;
/**
 * Number of assets per batch. Each asset also has two records, so a batch reads 75 items. One BatchGetItem
 * request accepts 100.
 */
const AT_ONCE = 25;

type Closer = Pick<PlatformDeps, "dynamo" | "table" | "clock" | "authority" | "log">;

/**
 * Removes assets from the tenant's index of open actions if they were revoked at least {@link
 * REVOKED_OPEN_MS} ago.
 *
 * Every edge reads the whole index every two seconds, so the index must stay small. A revocation is
 * permanent: the item of the asset still prevents new sessions.
 *
 * Isolated assets stay in the index, and so do assets whose release by code is not in the custody log yet. A
 * later report that needs the index adds its asset again.
 *
 * @returns number of removed assets, at most {@link CLOSED_MAX}
 */
export async function closeRevoked(tenantId: string, deps: Closer): Promise<number> {
  const startedMs = deps.clock();
  const isLate = () => deps.clock() - startedMs >= RUN_MS_MAX;
  const revokedUntil = timestamp(startedMs - REVOKED_OPEN_MS);
  let closed = 0;
  let from: AttributeMap | undefined;
  do {
    const page = await deps.dynamo("Query", {
      TableName: deps.table,
      IndexName: GSI2,
      KeyConditionExpression: "GSI2PK = :open AND GSI2SK <= :to",
      FilterExpression: "revokedAt <= :until AND #status = :active",
      ExpressionAttributeNames: { "#status": "status" },
      ExpressionAttributeValues: values({
        open: actionRequired(tenantId),
        to: indexSort(revokedUntil, "~"),
        until: revokedUntil,
        active: "ACTIVE",
      }),
      ...(from && { ExclusiveStartKey: from }),
    });
    const ids = (page.Items ?? [])
      .map((stored) => decodeItem(assetItem, stored))
      .filter((asset) => !isContained(asset, startedMs))
      .map(({ assetId }) => assetId);
    for (let i = 0; i < ids.length && closed < CLOSED_MAX && !isLate(); i += AT_ONCE) {
      const next = ids.slice(i, i + Math.min(AT_ONCE, CLOSED_MAX - closed));
      closed += await closeThese(tenantId, next, revokedUntil, deps);
    }
    from = page.LastEvaluatedKey;
  } while (from && closed < CLOSED_MAX && !isLate());
  if (closed > 0) deps.log("info", "revoked.closed", { tenantId, closed });
  return closed;
}

/**
 * True if the revocation was the asset's only reason to be in the index, and edges no longer need the asset
 * there.
 */
const isOver = (asset: AssetItem, revokedUntil: string, nowMs: number): boolean =>
  asset.revokedAt !== undefined &&
  asset.revokedAt <= revokedUntil &&
  !isContained(asset, nowMs) &&
  unrecordedRelease(asset) === undefined;

/**
 * Removes the assets that need no entry any more. The index can lag behind the table, so the assets are read
 * again and their signatures are checked.
 */
async function closeThese(
  tenantId: string,
  assetIds: readonly string[],
  revokedUntil: string,
  deps: Closer,
): Promise<number> {
  const items = await deps.authority.readMany(assetIds.map((assetId) => assetKey(tenantId, assetId)));
  const closed = await Promise.all(
    items.map(async (stored) => {
      if (!stored || stored instanceof AuthorityFault) return false;
      const asset = await deps.authority.checkReports(decodeItem(assetItem, stored));
      return isOver(asset, revokedUntil, deps.clock()) && closeOne(asset, stored, deps);
    }),
  );
  return closed.filter(Boolean).length;
}

/** Attributes that {@link isOver} depends on. Every change by an administrator also increases `custodyCount`. */
const DECIDED_FROM = [
  "revokedAt",
  "status",
  "custodyCount",
  "generation",
  "proof",
  "freedByCode",
  "setBack",
] as const satisfies readonly (keyof AssetItem)[];

/**
 * Removes an asset from the index. Returns false if the asset has changed since the read, or is no longer in
 * the index.
 */
async function closeOne(
  { tenantId, assetId }: AssetItem,
  stored: AttributeMap,
  deps: Pick<Closer, "dynamo" | "table">,
): Promise<boolean> {
  const there = DECIDED_FROM.filter((name) => stored[name] !== undefined);
  const unchanged = DECIDED_FROM.map((name) =>
    stored[name] === undefined ? `attribute_not_exists(#${name})` : `#${name} = :${name}`,
  );
  try {
    await deps.dynamo("UpdateItem", {
      TableName: deps.table,
      Key: marshalItem(assetKey(tenantId, assetId)),
      UpdateExpression: "REMOVE GSI2PK, GSI2SK",
      ConditionExpression: ["GSI2PK = :open", ...unchanged].join(" AND "),
      ExpressionAttributeNames: Object.fromEntries(DECIDED_FROM.map((name) => [`#${name}`, name])),
      ExpressionAttributeValues: {
        ...values({ open: actionRequired(tenantId) }),
        ...Object.fromEntries(there.map((name) => [`:${name}`, stored[name]!])),
      },
    });
    return true;
  } catch (error) {
    if (isConditionFailed(error)) return false;
    throw error;
  }
}
