import { countFleet } from "../../shared/fleet/count.ts";
import { readFleet } from "../../shared/fleet/read-fleet.ts";
import { PRODUCT_VERSION } from "../../shared/product-version.ts";
import { type AttributeMap, isConditionFailed, marshalItem, values } from "../../shared/table/dynamo.ts";
import { decodeItem } from "../../shared/table/items/decode.ts";
import { type FleetHourItem, fleetSummaryItem } from "../../shared/table/items/fleet.ts";
import { alerts, fleetHourKey, fleetSummaryKey, GSI2 } from "../../shared/table/keys.ts";
import { timestamp } from "../../shared/time/clock.ts";
import type { PlatformDeps } from "../platform/deps.ts";
import { closeRevoked } from "./close-revoked.ts";

/** A fleet is counted at most this often, a large one less: what is read for it stays about two units a second. */
const EVERY_MS_MIN = 60_000;
const EVERY_MS_MAX = 1800_000;
const MS_PER_HOST = 90;
/** As long as one worker may take to count. */
const CLAIM_MS = 300_000;
/** Hours are kept for as long as a year is compared with the one before. */
const KEPT_DAYS = 400;

type Counter = Pick<PlatformDeps, "dynamo" | "table" | "clock" | "tenant" | "authority" | "log">;

/**
 * Counts a tenant's fleet when that is due: the newest numbers, for pages of nodes that have read nothing yet, and
 * the last ones of the hour, for the trend. Before that it takes assets that were revoked long ago out of the index of
 * open actions. Of several workers one counts. True when this one did.
 */
export async function recordFleet(tenantId: string, deps: Counter): Promise<boolean> {
  const Key = marshalItem(fleetSummaryKey(tenantId));
  const { Item } = await deps.dynamo("GetItem", { TableName: deps.table, Key, ConsistentRead: true });
  const last = Item && decodeItem(fleetSummaryItem, Item);
  if (last?.at !== undefined && deps.clock() - Date.parse(last.at) < pauseMs(last.counts?.hosts ?? 0))
    return false;
  if (!(await claim(Key, deps))) return false;
  // Of several workers one does this too, as often. Without it the fleet is counted all the same.
  await closeRevoked(tenantId, deps).catch((error) =>
    deps.log("warn", "revoked.not-closed", { tenantId, error }),
  );
  const expiryDays = deps.tenant(tenantId).then(({ assetExpiryDays }) => assetExpiryDays);
  const { rows, expired } = await readFleet(deps, tenantId, expiryDays);
  const left = new Set(expired.map(({ assetId }) => assetId));
  const [critical, warning] = await Promise.all([
    countOpen(tenantId, "CRITICAL", left, deps),
    countOpen(tenantId, "WARNING", left, deps),
  ]);
  const nowMs = deps.clock();
  const at = timestamp(nowMs);
  const counts = countFleet(rows, nowMs, expired.length);
  const { hosts, reporting, withAi } = counts;
  const expiresAt = Math.floor(nowMs / 1000) + KEPT_DAYS * 24 * 3600;
  const hour: FleetHourItem = {
    ...{ type: "FleetHour", tenantId, at },
    ...{ hosts, reporting, withAi, critical, warning, expiresAt },
  };
  const summary = { type: "FleetSummary", tenantId, at, counts, workerVersion: PRODUCT_VERSION };
  for (const item of [
    { ...fleetHourKey(tenantId, at.slice(0, 13)), ...hour },
    { ...fleetSummaryKey(tenantId), ...summary },
  ])
    await deps.dynamo("PutItem", { TableName: deps.table, Item: marshalItem(item) });
  return true;
}

export const pauseMs = (hosts: number): number =>
  Math.min(EVERY_MS_MAX, Math.max(EVERY_MS_MIN, hosts * MS_PER_HOST));

async function claim(Key: AttributeMap, deps: Counter): Promise<boolean> {
  const nowMs = deps.clock();
  const [, tenantId] = Key.PK!.S!.split("#");
  try {
    await deps.dynamo("UpdateItem", {
      TableName: deps.table,
      Key,
      UpdateExpression: "SET claimedUntil = :until, #type = :type, tenantId = :tenantId",
      ConditionExpression: "attribute_not_exists(claimedUntil) OR claimedUntil < :now",
      ExpressionAttributeNames: { "#type": "type" },
      ExpressionAttributeValues: values({
        until: timestamp(nowMs + CLAIM_MS),
        now: timestamp(nowMs),
        type: "FleetSummary",
        tenantId: tenantId!,
      }),
    });
    return true;
  } catch (error) {
    if (isConditionFailed(error)) return false;
    throw error;
  }
}

/** Open incidents of hosts on the active list. */
async function countOpen(
  tenantId: string,
  risk: "CRITICAL" | "WARNING",
  expired: ReadonlySet<string>,
  deps: Counter,
): Promise<number> {
  let count = 0;
  let from: AttributeMap | undefined;
  do {
    const page = await deps.dynamo("Query", {
      TableName: deps.table,
      IndexName: GSI2,
      KeyConditionExpression: "GSI2PK = :pk",
      ExpressionAttributeValues: values({ pk: alerts(tenantId, risk) }),
      ProjectionExpression: "assetId",
      ...(from && { ExclusiveStartKey: from }),
    });
    for (const { assetId } of page.Items ?? []) if (!expired.has(assetId?.S ?? "")) count++;
    from = page.LastEvaluatedKey;
  } while (from);
  return count;
}
