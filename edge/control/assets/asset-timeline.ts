import { type TelemetryChange, telemetryItem } from "../../../shared/table/items/asset/telemetry.ts";
import { decodeItem } from "../../../shared/table/items/decode.ts";
import { assetTimeline, GSI1, telemetryKey, timelineDate } from "../../../shared/table/keys.ts";
import { readTenant } from "../../../shared/tenant/read-tenant.ts";
import { getItem, type Page, queryPage, type Reader } from "../table-query.ts";

/**
 * Reads the full state of an asset. The state is stored in the telemetry item of the state change at
 * `stateAt`. The asset's presence contains that time.
 */
export async function readState(
  reader: Reader,
  tenantId: string,
  assetId: string,
  stateAt: string,
): Promise<TelemetryChange | undefined> {
  const { shards } = await readTenant(reader, tenantId);
  const stored = await getItem(reader, telemetryKey(tenantId, assetId, stateAt, shards));
  const item = stored && decodeItem(telemetryItem, stored);
  return item?.kind === "change" ? item : undefined;
}

/** Lists the state changes of an asset, newest first. `until` is the latest time, inclusive. */
export async function listTimeline(
  reader: Reader,
  tenantId: string,
  assetId: string,
  { until, ...page }: { limit: number; from?: string; until?: string },
): Promise<Page<TelemetryChange>> {
  const partition = assetTimeline(tenantId, assetId);
  const found = await queryPage(reader, {
    index: GSI1,
    partition,
    ...(until === undefined
      ? { prefix: timelineDate("") }
      : { between: [timelineDate(""), timelineDate(until)] as const }),
    newestFirst: true,
    ...page,
  });
  const items = found.items
    .map((stored) => decodeItem(telemetryItem, stored))
    .filter((i) => i.kind === "change");
  return found.cursor === undefined ? { items } : { items, cursor: found.cursor };
}
