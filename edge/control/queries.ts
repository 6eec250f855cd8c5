import type { CheckedAsset } from "../../shared/authority/check-reports.ts";
import { type Containment, containmentOf } from "../../shared/containment/containment-state.ts";
import { type Expiry, expiryOf } from "../../shared/fleet/expiry.ts";
import { type AttributeMap, marshalItem, values } from "../../shared/table/dynamo.ts";
import { approvalItem } from "../../shared/table/items/approval.ts";
import { type AssetItem, assetItem } from "../../shared/table/items/asset/asset.ts";
import { type PresenceItem, presenceItem } from "../../shared/table/items/asset/presence.ts";
import { type TelemetryChange, telemetryItem } from "../../shared/table/items/asset/telemetry.ts";
import { type AuditItem, auditItem } from "../../shared/table/items/custody.ts";
import { decodeItem } from "../../shared/table/items/decode.ts";
import { type EmployeeItem, employeeItem } from "../../shared/table/items/employee.ts";
import { type IncidentItem, incidentItem } from "../../shared/table/items/incident.ts";
import {
  APPROVAL_PREFIX,
  ASSET_PREFIX,
  actionRequired,
  alerts,
  assetKey,
  assetTimeline,
  auditPrefix,
  EMPLOYEE_PREFIX,
  employeeAssets,
  employeeKey,
  GSI1,
  GSI2,
  incidentId,
  incidentPrefix,
  presenceKey,
  telemetryKey,
  telemetryPartition,
  tenantKey,
  timelineDate,
} from "../../shared/table/keys.ts";
import { readExpiryDays } from "../../shared/tenant/read-expiry-days.ts";
import { readTenant } from "../../shared/tenant/read-tenant.ts";
import type { StopEnginesBy } from "../../shared/wire/heartbeat.ts";
import type { Deps } from "../deps.ts";
import { checkAssets } from "./assets/check-assets.ts";
import { enrolledAgainAs } from "./assets/enrolled-again.ts";
import { BATCH_GET_MAX, batchGet } from "./batch-get.ts";
import { CursorFault, openCursor, type Scope, sealCursor } from "./cursor.ts";
import { fillPage } from "./fill-page.ts";

export { CursorFault };

export type Reader = Pick<Deps, "dynamo" | "table" | "clock" | "authority"> & {
  admin: Pick<Deps["admin"], "cursorKeys">;
};

export type Page<T> = { items: T[]; cursor?: string };

/** An asset as API and dashboard show it: no device key, no directive. */
export type AssetView = Pick<
  AssetItem,
  | "assetId"
  | "hostname"
  | "employeeId"
  | "os"
  | "arch"
  | "status"
  | "generation"
  | "enrolledAt"
  | "revokedAt"
  | "keyRotatedAt"
  | "supersededBy"
  | "supersedes"
  | "enrolledBefore"
> & {
  /** The asset that the same machine reports as since; of one asset that is read by itself. */
  enrolledAgainAs?: string;
  /** Whether it is on the active list, and if not, why and since when. */
  lifecycle: { state: "active" | "expired" } & Partial<Expiry>;
  containment: Containment & {
    mode?: string;
    stopEnginesBy?: StopEnginesBy;
    requestedAt?: string;
    expiresAt?: string;
    proof?: AssetItem["proof"];
  };
  presence?: Omit<PresenceItem, "type" | "tenantId" | "assetId" | "stateHash">;
};

export type IncidentView = Omit<IncidentItem, "type" | "tenantId"> & { id: string };
export type CustodyView = Omit<AuditItem, "type">;

/** @param asset as `checkAssets` answers it: a stored report is shown only when the device signed it */
export function viewOf(
  asset: CheckedAsset,
  presence: PresenceItem | undefined,
  nowMs: number,
  /** Setting `assetExpiryDays` of the tenant. */
  expiryDays = 0,
): AssetView {
  const { assetId, hostname, employeeId, os, arch, status, generation, enrolledAt, wish, proof } = asset;
  const containment = {
    ...containmentOf(asset, presence, nowMs),
    ...(wish && { mode: wish.mode, requestedAt: wish.requestedAt, expiresAt: wish.expiresAt }),
    ...(wish?.stopEnginesBy && { stopEnginesBy: wish.stopEnginesBy }),
    ...(proof && { proof }),
  };
  const { revokedAt, keyRotatedAt, supersededBy, supersedes, enrolledBefore } = asset;
  const expiry = expiryOf(asset, presence, expiryDays, nowMs);
  const view = {
    assetId,
    hostname,
    employeeId,
    os,
    arch,
    status,
    generation,
    enrolledAt,
    ...(revokedAt !== undefined && { revokedAt }),
    ...(keyRotatedAt !== undefined && { keyRotatedAt }),
    ...(supersededBy !== undefined && { supersededBy }),
    ...(supersedes && { supersedes }),
    ...(enrolledBefore && { enrolledBefore }),
    lifecycle: expiry ? { state: "expired" as const, ...expiry } : { state: "active" as const },
    containment,
  };
  if (!presence) return view;
  const { type: _type, tenantId: _tenant, assetId: _asset, stateHash: _hash, ...shown } = presence;
  return { ...view, presence: shown };
}

export type Query = {
  index?: string;
  partition: string;
  prefix?: string;
  /** Sort keys from the first to the second, both included; instead of a prefix. */
  between?: readonly [string, string];
  newestFirst?: boolean;
  limit?: number;
  from?: string;
  /** Sort key at most, where a list read newest first begins: of its first page only, a cursor stands below it. */
  until?: string;
  /** Of the table itself: everything that was written before. */
  isConsistent?: boolean;
  /** Only these, of what the limit lets it look at: a page may be short and still have a cursor. */
  filter?: { expression: string; names?: Record<string, string>; values?: Parameters<typeof values>[0] };
  /** What the caller filters by itself: a cursor is good for the same only. */
  scope?: string;
};

/** A cursor is good for the query it came from and no other. The partition names the tenant. */
const scopeOf = ({ index, partition, prefix, between, newestFirst, filter, scope }: Query): Scope => [
  index,
  partition,
  between ? JSON.stringify(between) : prefix,
  newestFirst,
  filter ? JSON.stringify(filter) : scope,
];

/** Key names of the table and its indexes. */
const keyNames = (index: string | undefined) =>
  index ? ([`${index}PK`, `${index}SK`] as const) : (["PK", "SK"] as const);

/** What is asked of the sort key, and the values it is compared with. */
function sortRange({ prefix, between, until, from }: Query, sk: string): [string, Record<string, string>] {
  if (between) return [` AND ${sk} BETWEEN :first AND :last`, { first: between[0], last: between[1] }];
  if (prefix) return [` AND begins_with(${sk}, :prefix)`, { prefix }];
  return until && from === undefined ? [` AND ${sk} <= :until`, { until }] : ["", {}];
}

export async function queryPage(reader: Reader, query: Query): Promise<Page<AttributeMap>> {
  const [pk, sk] = keyNames(query.index);
  const { cursorKeys } = reader.admin;
  const { filter } = query;
  const scope = scopeOf(query);
  const [range, compared] = sortRange(query, sk);
  const start = query.from === undefined ? undefined : await openCursor(cursorKeys, scope, query.from);
  const page = await reader.dynamo("Query", {
    TableName: reader.table,
    ...(query.index && { IndexName: query.index }),
    KeyConditionExpression: `${pk} = :pk${range}`,
    ...(filter && { FilterExpression: filter.expression }),
    ...(filter?.names && { ExpressionAttributeNames: filter.names }),
    ExpressionAttributeValues: values({
      pk: query.partition,
      ...compared,
      ...filter?.values,
    }),
    ScanIndexForward: !query.newestFirst,
    ...(query.isConsistent && { ConsistentRead: true }),
    ...(query.limit && { Limit: query.limit }),
    ...(start && { ExclusiveStartKey: start }),
  });
  const items = page.Items ?? [];
  if (!page.LastEvaluatedKey) return { items };
  return { items, cursor: await sealCursor(cursorKeys, scope, page.LastEvaluatedKey) };
}

export async function queryAll(reader: Reader, query: Query): Promise<AttributeMap[]> {
  const all: AttributeMap[] = [];
  let from: string | undefined;
  do {
    const page = await queryPage(reader, { ...query, ...(from !== undefined && { from }) });
    all.push(...page.items);
    from = page.cursor;
  } while (from !== undefined);
  return all;
}

async function get(reader: Pick<Deps, "dynamo" | "table">, key: object): Promise<AttributeMap | undefined> {
  return (await reader.dynamo("GetItem", { TableName: reader.table, Key: marshalItem(key) })).Item;
}

export async function readPresences(reader: Reader, tenantId: string, assetIds: readonly string[]) {
  const found = new Map<string, PresenceItem>();
  for (let i = 0; i < assetIds.length; i += BATCH_GET_MAX) {
    const keys = assetIds.slice(i, i + BATCH_GET_MAX).map((id) => presenceKey(tenantId, id));
    for (const stored of await batchGet(reader, keys)) {
      const presence = decodeItem(presenceItem, stored);
      found.set(presence.assetId, presence);
    }
  }
  return found;
}

export async function readAssetItems(reader: Reader, tenantId: string, assetIds: readonly string[]) {
  const found = new Map<string, CheckedAsset>();
  for (let i = 0; i < assetIds.length; i += BATCH_GET_MAX) {
    const keys = assetIds.slice(i, i + BATCH_GET_MAX).map((id) => assetKey(tenantId, id));
    const assets = (await batchGet(reader, keys)).map((stored) => decodeItem(assetItem, stored));
    for (const asset of await checkAssets(reader, tenantId, assets)) found.set(asset.assetId, asset);
  }
  return found;
}

async function withPresence(
  reader: Reader,
  tenantId: string,
  page: Page<AttributeMap>,
): Promise<Page<AssetView>> {
  const listed = page.items.map((stored) => decodeItem(assetItem, stored));
  const ids = listed.map(({ assetId }) => assetId);
  const [assets, presences, expiryDays] = await Promise.all([
    checkAssets(reader, tenantId, listed),
    readPresences(reader, tenantId, ids),
    readExpiryDays(reader, tenantId),
  ]);
  const now = reader.clock();
  const items = assets.map((asset) => viewOf(asset, presences.get(asset.assetId), now, expiryDays));
  return page.cursor === undefined ? { items } : { items, cursor: page.cursor };
}

/** Which assets a list holds: those on the active list, those that left it, or both. */
export const LIFECYCLES = ["active", "expired", "all"] as const;
export type Lifecycle = (typeof LIFECYCLES)[number];

/** `expiredLeftOut`: assets that fit, and are not in `items` because they are not on the active list; absent for none. */
export type AssetPage = Page<AssetView> & { expiredLeftOut?: number };

/** Assets by id (enrolment order). A page of one lifecycle may be short, or empty, and still have a cursor. */
export async function listAssets(
  reader: Reader,
  tenantId: string,
  { lifecycle = "all", ...page }: { limit: number; from?: string; lifecycle?: Lifecycle | undefined },
): Promise<AssetPage> {
  const { PK } = tenantKey(tenantId);
  const scope = lifecycle === "all" ? {} : { scope: lifecycle };
  const query: Query = { partition: PK, prefix: ASSET_PREFIX, ...scope };
  if (lifecycle === "all")
    return withPresence(reader, tenantId, await queryPage(reader, { ...query, ...page }));
  const filled = await fillPage(
    page,
    async (part) => withPresence(reader, tenantId, await queryPage(reader, { ...query, ...part })),
    (views) => views.filter((view) => view.lifecycle.state === lifecycle),
  );
  return withLeftOut(filled, lifecycle);
}

/** With the number of those left out because they are not on the active list. */
function withLeftOut<T>(
  { leftOut, ...page }: Page<T> & { leftOut: number },
  lifecycle: Lifecycle,
): Page<T> & { expiredLeftOut?: number } {
  return lifecycle === "active" && leftOut > 0 ? { ...page, expiredLeftOut: leftOut } : page;
}

export async function listEmployeeAssets(
  reader: Reader,
  tenantId: string,
  employeeId: string,
  page: { limit: number; from?: string },
): Promise<Page<AssetView>> {
  const partition = employeeAssets(tenantId, employeeId);
  return withPresence(reader, tenantId, await queryPage(reader, { index: GSI1, partition, ...page }));
}

export async function readAsset(
  reader: Reader,
  tenantId: string,
  assetId: string,
  /** Setting of the tenant, where the caller has read it. */
  knownExpiryDays?: number,
): Promise<AssetView | undefined> {
  const [asset, presence, expiryDays] = await Promise.all([
    get(reader, assetKey(tenantId, assetId)),
    get(reader, presenceKey(tenantId, assetId)),
    knownExpiryDays ?? readExpiryDays(reader, tenantId),
  ]);
  if (!asset) return undefined;
  const [checked] = await checkAssets(reader, tenantId, [decodeItem(assetItem, asset)]);
  const decoded = presence && decodeItem(presenceItem, presence);
  const again = await enrolledAgainAs(checked!, decoded?.lastSeenAt, (key) => get(reader, key));
  const view = viewOf(checked!, decoded, reader.clock(), expiryDays);
  return again === undefined ? view : { ...view, enrolledAgainAs: again };
}

/** The whole state an asset is in now, from the telemetry item its presence points at. */
export async function readState(
  reader: Reader,
  tenantId: string,
  assetId: string,
  stateAt: string,
): Promise<TelemetryChange | undefined> {
  const { shards } = await readTenant(reader, tenantId);
  const stored = await get(reader, telemetryKey(tenantId, assetId, stateAt, shards));
  const item = stored && decodeItem(telemetryItem, stored);
  return item?.kind === "change" ? item : undefined;
}

/** Changes of an asset, newest first, from GSI1; with `until` those up to that moment. */
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

/** Custody records, newest first, of one asset. */
export async function listCustody(
  reader: Reader,
  tenantId: string,
  assetId: string,
  page: { limit: number; from?: string },
): Promise<Page<CustodyView>> {
  const { PK } = tenantKey(tenantId);
  const prefix = auditPrefix(assetId);
  const found = await queryPage(reader, { partition: PK, prefix, newestFirst: true, ...page });
  const items = found.items.map((stored) => custodyView(decodeItem(auditItem, stored)));
  return found.cursor === undefined ? { items } : { items, cursor: found.cursor };
}

const custodyView = ({ type: _type, ...record }: AuditItem): CustodyView => record;

/** Requests for a second person, newest first. */
export async function listApprovals(
  reader: Reader,
  tenantId: string,
  page: { limit: number; from?: string },
) {
  const { PK } = tenantKey(tenantId);
  const found = await queryPage(reader, {
    partition: PK,
    prefix: APPROVAL_PREFIX,
    newestFirst: true,
    ...page,
  });
  const items = found.items.map((stored) => {
    const { type: _type, tenantId: _tenant, expiresAt: _ttl, ...view } = decodeItem(approvalItem, stored);
    return view;
  });
  return found.cursor === undefined ? { items } : { items, cursor: found.cursor };
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

/** Assets with an open action, newest request first: from isolate until the release is proven, and revoked ones. */
export async function listActionRequired(
  reader: Reader,
  tenantId: string,
  page: { limit: number; from?: string },
): Promise<Page<AssetView>> {
  const partition = actionRequired(tenantId);
  const found = await queryPage(reader, { index: GSI2, partition, newestFirst: true, ...page });
  return withPresence(reader, tenantId, found);
}

/** The named assets, in the order asked; those the tenant does not have are left out. */
export async function readAssets(
  reader: Reader,
  tenantId: string,
  assetIds: readonly string[],
): Promise<AssetView[]> {
  if (assetIds.length === 0) return [];
  const expiryDays = await readExpiryDays(reader, tenantId);
  const views = await Promise.all(assetIds.map((id) => readAsset(reader, tenantId, id, expiryDays)));
  return views.filter((view) => view !== undefined);
}

/** People who answer for assets, by id. */
export async function listEmployees(
  reader: Reader,
  tenantId: string,
  page: { limit: number; from?: string },
): Promise<Page<EmployeeView>> {
  const { PK } = tenantKey(tenantId);
  const found = await queryPage(reader, { partition: PK, prefix: EMPLOYEE_PREFIX, ...page });
  const items = found.items.map((stored) => employeeView(decodeItem(employeeItem, stored)));
  return found.cursor === undefined ? { items } : { items, cursor: found.cursor };
}

export async function readEmployee(
  reader: Reader,
  tenantId: string,
  employeeId: string,
): Promise<EmployeeView | undefined> {
  const stored = await get(reader, employeeKey(tenantId, employeeId));
  return stored && employeeView(decodeItem(employeeItem, stored));
}

export type EmployeeView = Omit<EmployeeItem, "type" | "tenantId">;
const employeeView = ({ type: _type, tenantId: _tenant, ...employee }: EmployeeItem): EmployeeView =>
  employee;
