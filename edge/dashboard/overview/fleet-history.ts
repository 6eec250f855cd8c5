import { values } from "../../../shared/table/dynamo.ts";
import { decodeItem } from "../../../shared/table/items/decode.ts";
import {
  type FleetCounts,
  type FleetHourItem,
  fleetHourItem,
  fleetSummaryItem,
} from "../../../shared/table/items/fleet.ts";
import { FLEET_PREFIX, fleetSummaryKey, tenantKey } from "../../../shared/table/keys.ts";
import type { DashboardDeps } from "../deps.ts";

/** Maximum number of items that the query returns: one for each hour of a week, and the summary. */
const ITEMS_MAX = 7 * 24 + 1;

export type FleetHistory = {
  summary: { counts: FleetCounts; at: string } | undefined;
  /** Hourly counts, oldest first. */
  hours: FleetHourItem[];
};

/** Reads the worker's newest fleet count and its hourly counts of the last seven days, in one query. */
export async function readFleetHistory(
  { dynamo, table }: Pick<DashboardDeps, "dynamo" | "table">,
  tenantId: string,
): Promise<FleetHistory> {
  const { Items = [] } = await dynamo("Query", {
    TableName: table,
    KeyConditionExpression: "PK = :pk AND begins_with(SK, :prefix)",
    ExpressionAttributeValues: values({ pk: tenantKey(tenantId).PK, prefix: FLEET_PREFIX }),
    ScanIndexForward: false,
    Limit: ITEMS_MAX,
  });
  const { SK } = fleetSummaryKey(tenantId);
  const stored = Items.find((item) => item.SK?.S === SK);
  const { counts, at } = stored ? decodeItem(fleetSummaryItem, stored) : {};
  const hours = Items.filter((item) => item.SK?.S !== SK).map((item) => decodeItem(fleetHourItem, item));
  return { summary: counts && at !== undefined ? { counts, at } : undefined, hours: hours.reverse() };
}
