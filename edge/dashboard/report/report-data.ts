import { verifyCustody } from "../../../shared/containment/custody-chain.ts";
import { isCheckpointSigned } from "../../../shared/containment/custody-checkpoint.ts";
import type { ExpiryReason } from "../../../shared/fleet/expiry.ts";
import { reportingOf } from "../../../shared/fleet/reporting.ts";
import type { AuditItem } from "../../../shared/table/items/custody.ts";
import { decodeItem } from "../../../shared/table/items/decode.ts";
import { incidentItem } from "../../../shared/table/items/incident.ts";
import { INCIDENT_PREFIX, telemetryShard } from "../../../shared/table/keys.ts";
import { readTenant } from "../../../shared/tenant/read-tenant.ts";
import { timestamp } from "../../../shared/time/clock.ts";
import type { AssetView } from "../../control/assets/asset-view.ts";
import { listAssets } from "../../control/assets/read-assets.ts";
import { type HeldCustody, holdCustody } from "../../control/custody/export-custody-log.ts";
import type { CustodyView } from "../../control/custody/list-custody.ts";
import { type IncidentView, incidentView } from "../../control/incidents/list-incidents.ts";
import { queryPage } from "../../control/table-query.ts";
import { readPolicy, readSettings } from "../../control/tenant/update-tenant.ts";
import { plural } from "../components/badges.tsx";
import { faultWords } from "../custody/field-diff.ts";
import type { DashboardDeps } from "../deps.ts";
import { type Found, findInPeriod, type Period } from "./detections-in-period.ts";

/**
 * Maximum number of hosts that one report reads. If this or the limit of incidents is exceeded, the report
 * says that it is partial.
 */
const REPORT_ASSETS_MAX = 25_000;
const REPORT_INCIDENTS_MAX = 10_000;
const PAGE_ITEMS = 200;

export type Evidence = {
  organisation: string;
  madeAt: string;
  period: Period;
  found: Found;
  incidents: {
    opened: number;
    critical: number;
    warning: number;
    acknowledged: number;
    resolvedByPeople: number;
    resolvedByQuiet: number;
    stillOpen: number;
    list: IncidentView[];
  };
  done: {
    byAction: { action: string; records: number; people: number }[];
    records: CustodyView[];
    /** False if there were too many custody records. In this case, `records` is empty. */
    complete: boolean;
  };
  custody: {
    records: number;
    /** False if the log is too long for a report to verify. In this case, `verified` has no meaning. */
    checked: boolean;
    verified: boolean;
    words: string;
    headSigned: boolean;
    head: string;
  };
  coverage: {
    hosts: number;
    reporting: number;
    silent: { assetId: string; hostname: string; lastSeenAt: string }[];
    neverSeen: { assetId: string; hostname: string; enrolledAt: string }[];
    sourcesFailing: { assetId: string; hostname: string; sources: string[] }[];
    heartbeatsLost: number;
    /** Hosts that left the active list. The counts above do not include these hosts, but `found` does. */
    expired: { assetId: string; hostname: string; reason: ExpiryReason; since: string }[];
    complete: boolean;
  };
  kept: { retentionDays: number; policyVersion: number };
};

/** Gathers all data of a report. The report contains no estimates, and states which data could not be read. */
export async function gatherEvidence(
  deps: DashboardDeps,
  tenantId: string,
  period: Period,
): Promise<Evidence> {
  const isWanted = ({ at }: AuditItem) => isDuring(at, period);
  const [fleet, incidents, log, settings, policy] = await Promise.all([
    readAssets(deps, tenantId),
    readIncidents(deps, tenantId),
    holdCustody(deps, tenantId, isWanted),
    readSettings(deps, tenantId),
    readPolicy(deps, tenantId),
  ]);
  const nowMs = deps.clock();
  const during = (log.picked ?? []).map(({ type: _type, ...record }) => record);
  return {
    organisation: settings.value.name,
    madeAt: timestamp(nowMs),
    period,
    found: await findInPeriod(deps, tenantId, fleet.assets, period),
    incidents: incidentsIn(incidents.found, period),
    done: { byAction: countActions(during), records: during, complete: log.picked !== undefined },
    custody: await checkCustody(log, tenantId, deps),
    coverage: coverageIn(fleet.assets, fleet.complete && incidents.complete, nowMs),
    kept: { retentionDays: settings.value.retentionDays, policyVersion: policy.version },
  };
}

async function checkCustody(
  { all, head, count }: HeldCustody,
  tenantId: string,
  deps: DashboardDeps,
): Promise<Evidence["custody"]> {
  const fault = all && (await verifyCustody(all, head));
  const words = !all
    ? `it has ${plural(head?.count ?? count, "record")}, more than a report can verify`
    : fault
      ? faultWords(fault)
      : "all hashes are correct, and the chains of all hosts and of the organisation match the head";
  return {
    records: all ? count : (head?.count ?? count),
    checked: all !== undefined,
    verified: all !== undefined && fault === undefined,
    words,
    headSigned: head !== undefined && (await isCheckpointSigned({ ...head, tenantId }, deps.controlJwks)),
    head: head?.hash ?? "",
  };
}

/** Whether a timestamp is on a day within the period. Days and timestamps are in UTC and can be compared as text. */
const isDuring = (at: string | undefined, { from, to }: Period): boolean =>
  at !== undefined && at.slice(0, 10) >= from && at.slice(0, 10) <= to;
const isAfter = (at: string, { to }: Period): boolean => at.slice(0, 10) > to;

async function readAssets(deps: DashboardDeps, tenantId: string) {
  const assets: AssetView[] = [];
  let from: string | undefined;
  do {
    const page = await listAssets(deps, tenantId, { limit: PAGE_ITEMS, ...(from !== undefined && { from }) });
    assets.push(...page.items);
    from = page.cursor;
  } while (from !== undefined && assets.length < REPORT_ASSETS_MAX);
  return { assets, complete: from === undefined };
}

/**
 * Reads open and resolved incidents from the telemetry partitions of all shards, because the index contains
 * only open incidents.
 */
async function readIncidents(deps: DashboardDeps, tenantId: string) {
  const { shards } = await readTenant(deps, tenantId);
  const each = Math.ceil(REPORT_INCIDENTS_MAX / shards);
  const parts = await Promise.all(
    Array.from({ length: shards }, async (_, shard) => {
      const found: IncidentView[] = [];
      const query = {
        partition: telemetryShard(tenantId, shard),
        prefix: INCIDENT_PREFIX,
        limit: PAGE_ITEMS,
      };
      let from: string | undefined;
      do {
        const page = await queryPage(deps, { ...query, ...(from !== undefined && { from }) });
        found.push(...page.items.map((stored) => incidentView(decodeItem(incidentItem, stored))));
        from = page.cursor;
      } while (from !== undefined && found.length < each);
      return { found, complete: from === undefined };
    }),
  );
  return { found: parts.flatMap((part) => part.found), complete: parts.every((part) => part.complete) };
}

function incidentsIn(all: readonly IncidentView[], period: Period): Evidence["incidents"] {
  const opened = all.filter(({ openedAt }) => isDuring(openedAt, period));
  const resolved = all.filter(({ resolvedAt }) => isDuring(resolvedAt, period));
  const list = all
    .filter(
      ({ openedAt, resolvedAt }) => !isAfter(openedAt, period) && !(resolvedAt && resolvedAt < period.from),
    )
    .sort((a, b) => (a.openedAt < b.openedAt ? 1 : -1));
  return {
    opened: opened.length,
    critical: opened.filter(({ risk }) => risk === "CRITICAL").length,
    warning: opened.filter(({ risk }) => risk === "WARNING").length,
    acknowledged: all.filter(({ acknowledgedAt }) => isDuring(acknowledgedAt, period)).length,
    resolvedByPeople: resolved.filter(({ resolvedBy }) => resolvedBy !== undefined).length,
    resolvedByQuiet: resolved.filter(({ resolvedBy }) => resolvedBy === undefined).length,
    stillOpen: list.filter(({ status }) => status === "OPEN").length,
    list,
  };
}

function countActions(records: readonly CustodyView[]): Evidence["done"]["byAction"] {
  const actions = new Map<string, { records: number; people: Set<string> }>();
  for (const { action, operatorId } of records) {
    const one = actions.get(action) ?? { records: 0, people: new Set() };
    one.records++;
    one.people.add(operatorId);
    actions.set(action, one);
  }
  return [...actions].map(([action, { records, people }]) => ({ action, records, people: people.size }));
}

function coverageIn(assets: readonly AssetView[], complete: boolean, nowMs: number): Evidence["coverage"] {
  const silent: Evidence["coverage"]["silent"] = [];
  const neverSeen: Evidence["coverage"]["neverSeen"] = [];
  const sourcesFailing: Evidence["coverage"]["sourcesFailing"] = [];
  const expired: Evidence["coverage"]["expired"] = [];
  let heartbeatsLost = 0;
  for (const { assetId, hostname, presence, enrolledAt, lifecycle } of assets) {
    const { reason, since } = lifecycle;
    if (reason && since) {
      expired.push({ assetId, hostname, reason, since });
      continue;
    }
    heartbeatsLost += presence?.spoolDropped ?? 0;
    if (!presence) neverSeen.push({ assetId, hostname, enrolledAt });
    else if (reportingOf(presence, nowMs) === "silent")
      silent.push({ assetId, hostname, lastSeenAt: presence.lastSeenAt });
    if (presence && presence.failedCollectors.length > 0)
      sourcesFailing.push({ assetId, hostname, sources: presence.failedCollectors });
  }
  const hosts = assets.length - expired.length;
  const reporting = hosts - silent.length - neverSeen.length;
  return { hosts, reporting, silent, neverSeen, sourcesFailing, heartbeatsLost, expired, complete };
}
