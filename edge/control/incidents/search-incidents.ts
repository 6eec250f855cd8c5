import { marshalItem } from "../../../shared/table/dynamo.ts";
import { decodeItem } from "../../../shared/table/items/decode.ts";
import { type IncidentItem, incidentItem } from "../../../shared/table/items/incident.ts";
import { incidentKey, incidentPrefix, telemetryPartition } from "../../../shared/table/keys.ts";
import { readTenant } from "../../../shared/tenant/read-tenant.ts";
import type { Lifecycle } from "../assets/read-assets.ts";
import type { ControlDeps } from "../deps.ts";
import { type Page, type Query, queryPage, type Reader } from "../table-query.ts";
import { incidentParts } from "./incident-name.ts";
import { type IncidentPage, type IncidentView, incidentView, listIncidents } from "./list-incidents.ts";

export type IncidentFilter = {
  risk: "WARNING" | "CRITICAL";
  rule?: string | undefined;
  engine?: string | undefined;
  assetId?: string | undefined;
  /** Lifecycle of the hosts. If absent, incidents of all hosts are found. */
  lifecycle?: Lifecycle | undefined;
};

/** Finds open incidents with the given risk, newest first. A page can be short and still have a cursor. */
export const findIncidents = (
  reader: Reader,
  tenantId: string,
  { risk, lifecycle, ...fields }: IncidentFilter,
  page: { limit: number; from?: string },
): Promise<IncidentPage> =>
  listIncidents(reader, tenantId, { risk, lifecycle, ...expressionOf(fields), ...page });

function expressionOf({
  rule,
  engine,
  assetId,
}: Omit<IncidentFilter, "risk" | "lifecycle">): Pick<Query, "filter"> {
  const asked = Object.entries({ rule, engine, assetId }).filter(([, value]) => value !== undefined);
  if (asked.length === 0) return {};
  return {
    filter: {
      expression: asked.map(([name]) => `#${name} = :${name}`).join(" AND "),
      names: Object.fromEntries(asked.map(([name]) => [`#${name}`, name])),
      values: Object.fromEntries(asked),
    },
  };
}

/** Lists the incidents of an asset, including resolved ones, ordered by rule and engine. */
export async function listIncidentsOf(
  reader: Reader,
  tenantId: string,
  assetId: string,
  page: { limit: number; from?: string },
): Promise<Page<IncidentView>> {
  const { shards } = await readTenant(reader, tenantId);
  const partition = telemetryPartition(tenantId, assetId, shards);
  const found = await queryPage(reader, { partition, prefix: incidentPrefix(assetId), ...page });
  const items = found.items.map((stored) => incidentView(decodeItem(incidentItem, stored)));
  return found.cursor === undefined ? { items } : { items, cursor: found.cursor };
}

/**
 * Reads an incident with a strongly consistent read. Returns undefined if the tenant has no incident with
 * this id. `id` must have been validated.
 */
export async function readIncidentItem(
  deps: Pick<ControlDeps, "dynamo" | "table" | "authority">,
  tenantId: string,
  id: string,
): Promise<{ key: { PK: string; SK: string }; item: IncidentItem } | undefined> {
  const { shards } = await readTenant(deps, tenantId);
  const key = incidentKey(tenantId, incidentParts(id), shards);
  const { Item } = await deps.dynamo("GetItem", {
    TableName: deps.table,
    Key: marshalItem(key),
    ConsistentRead: true,
  });
  return Item && { key, item: decodeItem(incidentItem, Item) };
}
