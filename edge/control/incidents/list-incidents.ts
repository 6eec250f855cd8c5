import { expiryOf } from "../../../shared/fleet/expiry.ts";
import { decodeItem } from "../../../shared/table/items/decode.ts";
import { type IncidentItem, incidentItem } from "../../../shared/table/items/incident.ts";
import { alerts, GSI2, incidentId, incidentPrefix, telemetryPartition } from "../../../shared/table/keys.ts";
import { readExpiryDays } from "../../../shared/tenant/read-expiry-days.ts";
import { readTenant } from "../../../shared/tenant/read-tenant.ts";
import { type Lifecycle, readAssetItems, readPresences, withLeftOut } from "../assets/read-assets.ts";
import { fillPage } from "../fill-page.ts";
import { type Page, type Query, queryPage, type Reader } from "../table-query.ts";

/** An incident as the API and the dashboard show it. */
export type IncidentView = Omit<IncidentItem, "type" | "tenantId"> & { id: string };

/**
 * A page of incidents. `expiredLeftOut` is the number of matching incidents that are left out because their
 * hosts are expired. Absent if no incident was left out.
 */
export type IncidentPage = Page<IncidentView> & { expiredLeftOut?: number };

/** Lists open incidents with the given risk, newest first. A page can be short and still have a cursor. */
export async function listIncidents(
  reader: Reader,
  tenantId: string,
  {
    risk,
    until,
    filter,
    lifecycle = "all",
    ...page
  }: {
    risk: "WARNING" | "CRITICAL";
    limit: number;
    from?: string;
    until?: string;
    lifecycle?: Lifecycle | undefined;
  } & Pick<Query, "filter">,
): Promise<IncidentPage> {
  const query: Query = {
    ...{ index: GSI2, partition: alerts(tenantId, risk), newestFirst: true },
    ...(until !== undefined && { until }),
    ...(filter && { filter }),
  };
  const filled = await fillPage(
    page,
    (part) => queryPage(reader, { ...query, ...part }),
    (found) =>
      ofLifecycle(
        reader,
        tenantId,
        found.map((stored) => incidentView(decodeItem(incidentItem, stored))),
        lifecycle,
      ),
  );
  return withLeftOut(filled, lifecycle);
}

/** Filters incidents by the lifecycle of their host. An incident whose asset does not exist counts as active. */
async function ofLifecycle(
  reader: Reader,
  tenantId: string,
  incidents: readonly IncidentView[],
  lifecycle: Lifecycle,
): Promise<IncidentView[]> {
  if (lifecycle === "all" || incidents.length === 0) return [...incidents];
  const ids = [...new Set(incidents.map(({ assetId }) => assetId))];
  const [assets, presences, expiryDays] = await Promise.all([
    readAssetItems(reader, tenantId, ids),
    readPresences(reader, tenantId, ids),
    readExpiryDays(reader, tenantId),
  ]);
  const nowMs = reader.clock();
  const expired = new Set(
    [...assets.values()]
      .filter((asset) => expiryOf(asset, presences.get(asset.assetId), expiryDays, nowMs))
      .map(({ assetId }) => assetId),
  );
  return incidents.filter(({ assetId }) => expired.has(assetId) === (lifecycle === "expired"));
}

/** Builds the view of an incident. */
export function incidentView({ type: _type, tenantId: _tenant, ...incident }: IncidentItem): IncidentView {
  const { acknowledgedAt, acknowledgedBy, resolvedAt, resolution, resolvedBy, ...view } = incident;
  // An acknowledgement that is older than the reopening of the incident does not count.
  const isCurrent = acknowledgedAt !== undefined && acknowledgedAt >= incident.openedAt;
  return {
    id: incidentId(incident),
    ...view,
    ...(isCurrent && { acknowledgedAt, acknowledgedBy }),
    ...(incident.status === "RESOLVED" && { resolvedAt, resolution, resolvedBy }),
  };
}

/** Maximum number of incidents that are read for one asset, so that a single host cannot make its page slow. */
const ASSET_INCIDENTS_MAX = 2000;
const INCIDENTS_PAGE = 500;

/**
 * Lists the incidents of one asset: first the open incidents, then the resolved incidents, each newest first.
 * The table stores them in a different order, so up to {@link ASSET_INCIDENTS_MAX} incidents are read. If
 * there are more, `complete` is false and open incidents can be missing.
 */
export async function listAssetIncidents(
  reader: Reader,
  tenantId: string,
  assetId: string,
): Promise<{ incidents: IncidentView[]; complete: boolean }> {
  const { shards } = await readTenant(reader, tenantId);
  const partition = telemetryPartition(tenantId, assetId, shards);
  const query: Query = { partition, prefix: incidentPrefix(assetId), limit: INCIDENTS_PAGE };
  const incidents: IncidentView[] = [];
  let from: string | undefined;
  do {
    const page = await queryPage(reader, { ...query, ...(from !== undefined && { from }) });
    incidents.push(...page.items.map((stored) => incidentView(decodeItem(incidentItem, stored))));
    from = page.cursor;
  } while (from !== undefined && incidents.length < ASSET_INCIDENTS_MAX);
  const order = (incident: IncidentView) => (incident.status === "OPEN" ? 1 : 0);
  incidents.sort((a, b) => order(b) - order(a) || (a.openedAt < b.openedAt ? 1 : -1));
  return { incidents, complete: from === undefined };
}
