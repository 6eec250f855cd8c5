import { matchesPattern } from "../../../shared/policy/glob-pattern.ts";
import { type AttributeMap, values } from "../../../shared/table/dynamo.ts";
import type { AssetItem } from "../../../shared/table/items/asset/asset.ts";
import {
  ASSET_PREFIX,
  actionRequired,
  employeeAssets,
  GSI1,
  GSI2,
  PRESENCE_PREFIX,
  tenantKey,
} from "../../../shared/table/keys.ts";
import { readExpiryDays } from "../../../shared/tenant/read-expiry-days.ts";
import { HOUR_MS } from "../../../shared/time/durations.ts";
import { BATCH_GET_MAX } from "../batch-get.ts";
import { openCursor, type Scope, sealCursor } from "../cursor.ts";
import { READS_MAX } from "../fill-page.ts";
import type { Reader } from "../table-query.ts";
import { type AssetView, viewOf } from "./asset-view.ts";
import { type AssetPage, type Lifecycle, listAssets, readAssetItems, readPresences } from "./read-assets.ts";

export type AssetFilter = {
  status?: AssetItem["status"] | undefined;
  /** Containment state: the requested status combined with what the host has proven. */
  state?: string | undefined;
  /** Catalogue id of an engine in the newest report. */
  engine?: string | undefined;
  employee?: string | undefined;
  /**
   * Part of the host name. The comparison ignores case. With a `*` as wildcard, the filter must match the
   * whole name.
   */
  hostname?: string | undefined;
  /** Part of the name of the operating system. The comparison ignores case. */
  os?: string | undefined;
  /**
   * Minimum number of hours without a heartbeat. For a host that never reported, the hours count from its
   * enrolment.
   */
  silentHours?: number | undefined;
  /** Whether the host has never sent a heartbeat. */
  neverReported?: boolean | undefined;
  /** Lifecycle of the assets. If absent, assets of every lifecycle are found. */
  lifecycle?: Lifecycle | undefined;
};

/** Maximum number of items that one query evaluates. */
const EVALUATED_MAX = 1000;
/** Maximum number of candidates per page for which asset and presence are read. */
const JOINED_MAX = 1000;

/** The query that finds candidates. It is the smallest query whose results include all matching assets. */
type Driver = { partition: string; prefix?: string; index?: string; fields: readonly string[] };

function driverOf(tenantId: string, filter: AssetFilter): Driver {
  const { PK } = tenantKey(tenantId);
  if (filter.employee !== undefined) {
    return {
      index: GSI1,
      partition: employeeAssets(tenantId, filter.employee),
      fields: ["assetId", "hostname"],
    };
  }
  // Every asset in a state other than `active` has a pending action. The sparse index contains only those
  // assets.
  if (filter.status === "ISOLATED" || (filter.state !== undefined && filter.state !== "active")) {
    return { index: GSI2, partition: actionRequired(tenantId), fields: ["assetId", "hostname"] };
  }
  if (filter.engine !== undefined) {
    return { partition: PK, prefix: PRESENCE_PREFIX, fields: ["assetId", "hostname", "engines"] };
  }
  return { partition: PK, prefix: ASSET_PREFIX, fields: ["assetId", "hostname", "os"] };
}

/**
 * Finds assets that match the filter, with their presences. The number of reads is limited for any size of
 * tenant, so a page can be short or empty and still have a cursor.
 */
export async function findAssets(
  reader: Reader,
  tenantId: string,
  filter: AssetFilter,
  page: { limit: number; from?: string },
): Promise<AssetPage> {
  const { lifecycle, ...wanted } = filter;
  if (Object.values(wanted).every((value) => value === undefined))
    return listAssets(reader, tenantId, { ...page, lifecycle });
  const driver = driverOf(tenantId, filter);
  const { cursorKeys } = reader.admin;
  const { status, state, engine, employee, hostname, os, silentHours, neverReported } = filter;
  const more = [os, silentHours, neverReported, lifecycle];
  const scope: Scope = ["assets", tenantId, status, state, engine, employee, hostname, ...more];
  const expiryDays = await readExpiryDays(reader, tenantId);
  let from = page.from === undefined ? undefined : await openCursor(cursorKeys, scope, page.from);
  const items: AssetView[] = [];
  let joined = 0;
  let expiredLeftOut = 0;
  const pageWith = (cursor?: string): AssetPage => ({
    items,
    ...(expiredLeftOut > 0 && { expiredLeftOut }),
    ...(cursor !== undefined && { cursor }),
  });
  for (let reads = 0; reads < READS_MAX; reads++) {
    const answer = await queryCandidates(reader, driver, from);
    const candidates = answer.items.filter((stored) => mayFit(stored, filter));
    for (let i = 0; i < candidates.length; i += BATCH_GET_MAX) {
      const batch = candidates.slice(i, i + BATCH_GET_MAX);
      for (const { view, position } of await readViews(reader, tenantId, batch, expiryDays)) {
        joined += 1;
        if (fits(view, filter, reader.clock())) {
          const isListed = (lifecycle ?? "all") === "all" || view.lifecycle.state === lifecycle;
          if (isListed) items.push(view);
          else if (lifecycle === "active") expiredLeftOut++;
        }
        if (items.length < page.limit && joined < JOINED_MAX) continue;
        return pageWith(await sealCursor(cursorKeys, scope, positionOf(driver, position)));
      }
    }
    from = answer.next;
    if (!from) return pageWith();
  }
  return pageWith(await sealCursor(cursorKeys, scope, from!));
}

async function queryCandidates(reader: Reader, driver: Driver, from: AttributeMap | undefined) {
  const { index, partition, prefix, fields } = driver;
  const [pk, sk] = index ? [`${index}PK`, `${index}SK`] : ["PK", "SK"];
  const keys = new Set(["PK", "SK", pk, sk]);
  const page = await reader.dynamo("Query", {
    TableName: reader.table,
    ...(index && { IndexName: index }),
    KeyConditionExpression: `${pk} = :pk${prefix ? ` AND begins_with(${sk}, :prefix)` : ""}`,
    ExpressionAttributeValues: values({ pk: partition, ...(prefix && { prefix }) }),
    ProjectionExpression: [...keys, ...fields.map((name) => `#${name}`)].join(", "),
    ExpressionAttributeNames: Object.fromEntries(fields.map((name) => [`#${name}`, name])),
    Limit: EVALUATED_MAX,
    ...(from && { ExclusiveStartKey: from }),
  });
  return { items: page.Items ?? [], next: page.LastEvaluatedKey };
}

/** Whether a candidate can match, according to its projected fields. */
function mayFit(stored: AttributeMap, { hostname, engine, os }: AssetFilter): boolean {
  // Presences are not filtered by host name. A presence contains the last reported name, which can differ
  // from the name in the asset.
  if (hostname !== undefined && !stored.engines && !isNamed(stored.hostname?.S ?? "", hostname)) return false;
  if (os !== undefined && stored.os && !holds(stored.os.S ?? "", os)) return false;
  if (engine === undefined || !stored.engines) return true;
  return stored.engines.L?.some((each) => each.M?.id?.S === engine) ?? false;
}

function fits(view: AssetView, filter: AssetFilter, nowMs: number): boolean {
  const { status, state, engine, employee, hostname, os, silentHours, neverReported } = filter;
  if (status !== undefined && view.status !== status) return false;
  if (state !== undefined && view.containment.state !== state) return false;
  if (employee !== undefined && view.employeeId !== employee) return false;
  if (hostname !== undefined && !isNamed(view.hostname, hostname)) return false;
  if (os !== undefined && !holds(view.os, os)) return false;
  if (neverReported !== undefined && neverReported !== (view.presence === undefined)) return false;
  if (silentHours !== undefined && silenceMs(view, nowMs) < silentHours * HOUR_MS) return false;
  return engine === undefined || (view.presence?.engines.some(({ id }) => id === engine) ?? false);
}

/** Milliseconds since the last heartbeat, or since enrolment if the host never reported. */
export const silenceMs = (
  { presence, enrolledAt }: { presence?: { lastSeenAt: string } | undefined; enrolledAt: string },
  nowMs: number,
): number => nowMs - Date.parse(presence?.lastSeenAt ?? enrolledAt);

/**
 * Compares a host name. With a `*`, `wanted` must match the whole name. Otherwise `wanted` must be a part of
 * the name.
 */
function isNamed(name: string, wanted: string): boolean {
  return wanted.includes("*") ? matchesPattern(wanted, name) : holds(name, wanted);
}

const holds = (text: string, part: string): boolean => text.toLowerCase().includes(part.toLowerCase());

/** Reads the assets and presences of these candidates, in the same order. */
async function readViews(
  reader: Reader,
  tenantId: string,
  candidates: readonly AttributeMap[],
  expiryDays: number,
) {
  const ids = [...new Set(candidates.map((stored) => stored.assetId!.S!))];
  if (ids.length === 0) return [];
  const [assets, presences] = await Promise.all([
    readAssetItems(reader, tenantId, ids),
    readPresences(reader, tenantId, ids),
  ]);
  const nowMs = reader.clock();
  return candidates.flatMap((position) => {
    const id = position.assetId!.S!;
    const asset = assets.get(id);
    return asset ? [{ position, view: viewOf(asset, presences.get(id), nowMs, expiryDays) }] : [];
  });
}

/** Table key of a candidate, after which the next page starts. */
function positionOf({ index }: Driver, stored: AttributeMap): AttributeMap {
  const names = ["PK", "SK", ...(index ? [`${index}PK`, `${index}SK`] : [])];
  return Object.fromEntries(names.map((name) => [name, stored[name]!]));
}
