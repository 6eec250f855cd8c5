import { expiryOf } from "../../../shared/fleet/expiry.ts";
import { decodeItem } from "../../../shared/table/items/decode.ts";
import { type IncidentItem, incidentItem } from "../../../shared/table/items/incident.ts";
import { alerts, GSI2, incidentId, incidentPrefix, telemetryPartition } from "../../../shared/table/keys.ts";
import { readExpiryDays } from "../../../shared/tenant/read-expiry-days.ts";
import { readTenant } from "../../../shared/tenant/read-tenant.ts";
import { type Lifecycle, readAssetItems, readPresences, withLeftOut } from "../assets/read-assets.ts";
import { fillPage } from "../fill-page.ts";
import { type Page, type Query, queryPage, type Reader } from "../table-query.ts";

/** An incident as API and dashboard show it. */
export type IncidentView = Omit<IncidentItem, "type" | "tenantId"> & { id: string };

/** `expiredLeftOut`: incidents that fit, and are not in `items` because their host is not on the active list; absent for none. */
export type IncidentPage = Page<IncidentView> & { expiredLeftOut?: number };

/**
 * Open incidents from GSI2, newest first, or those of hosts of one lifecycle. A page may be short and still have a
 * cursor.
 */
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

/** Those incidents whose host is on the active list, or is not. An incident of a host without an item counts as active. */
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

export function incidentView({ type: _type, tenantId: _tenant, ...incident }: IncidentItem): IncidentView {
  const { acknowledgedAt, acknowledgedBy, resolvedAt, resolution, resolvedBy, ...view } = incident;
  // What was acknowledged before it was opened again was said of something else.
  const isCurrent = acknowledgedAt !== undefined && acknowledgedAt >= incident.openedAt;
  return {
    id: incidentId(incident),
    ...view,
    ...(isCurrent && { acknowledgedAt, acknowledgedBy }),
    ...(incident.status === "RESOLVED" && { resolvedAt, resolution, resolvedBy }),
  };
}

/** Of one asset this many incidents are read, so that no host makes its page slow. */
export const ASSET_INCIDENTS_MAX = 2000;
const INCIDENTS_PAGE = 500;

/**
 * Incidents of one asset, the open ones first and each kind newest first. They lie in the order of their keys, so
 * all of them are read, up to {@link ASSET_INCIDENTS_MAX}: beyond it `complete` is false, and open ones may be left out.
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
