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

/**
 * Minimum interval between two counts of a fleet, in milliseconds. The interval grows with the fleet, so that
 * counting reads about two capacity units per second.
 */
const EVERY_MS_MIN = 60_000;
const EVERY_MS_MAX = 1800_000;
const MS_PER_HOST = 90;
/** Maximum duration of one count. Other workers skip the tenant during this time. */
const CLAIM_MS = 300_000;
/** Number of days that hourly counts are kept. This is enough to compare a year with the previous one. */
const KEPT_DAYS = 400;

type Counter = Pick<PlatformDeps, "dynamo" | "table" | "clock" | "tenant" | "authority" | "log">;

/**
 * Counts the fleet of a tenant if a count is due. Stores the newest counts, for dashboard pages, and the last
 * counts of each hour, for the trend. First removes assets that were revoked long ago from the index of open
 * actions. Only one of several workers runs each count.
 *
 * @returns true if this worker counted
 */
export async function recordFleet(tenantId: string, deps: Counter): Promise<boolean> {
  const Key = marshalItem(fleetSummaryKey(tenantId));
  const { Item } = await deps.dynamo("GetItem", { TableName: deps.table, Key, ConsistentRead: true });
  const last = Item && decodeItem(fleetSummaryItem, Item);
  if (last?.at !== undefined && deps.clock() - Date.parse(last.at) < pauseMs(last.counts?.hosts ?? 0))
    return false;
  if (!(await claim(Key, deps))) return false;
  // The removal runs on the schedule of the count, so only one of several workers does it. A failure does not
  // stop the count.
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
