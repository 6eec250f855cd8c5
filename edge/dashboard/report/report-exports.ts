import { z } from "zod";
import {
  type Columns,
  CUSTODY_COLUMNS,
  headerOf,
  INCIDENT_COLUMNS,
  pickColumns,
  recordOf,
} from "../exports/columns.ts";
import type { Detected } from "./detections-in-period.ts";
import type { Evidence } from "./report-data.ts";

/**
 * One list of the report, with all of its rows. `rows` returns undefined if there are more rows than the
 * report can hold.
 */
type ReportList<Row> = { columns: Columns<Row>; rows(evidence: Evidence): readonly Row[] | undefined };

const DETECTED_COLUMNS: Columns<Detected> = [
  ["id", (row) => row.id],
  ["name", (row) => row.name],
  ["kind", (row) => row.kind],
  ["hosts", (row) => row.hosts],
  ["employees", (row) => row.employees],
  ["first_seen_at", (row) => row.firstSeenAt],
  ["last_seen_at", (row) => row.lastSeenAt],
];
const engines: ReportList<Detected> = { columns: DETECTED_COLUMNS, rows: ({ found }) => found.engines };
const models: ReportList<Detected> = { columns: DETECTED_COLUMNS, rows: ({ found }) => found.models };

const incidents: ReportList<Evidence["incidents"]["list"][number]> = {
  columns: pickColumns(INCIDENT_COLUMNS, [
    ...["incident_id", "risk", "points", "status", "rule", "title", "engine", "asset_id", "hostname"],
    ...["opened_at", "acknowledged_at", "acknowledged_by", "resolved_at", "resolved_by", "resolution"],
  ]),
  rows: ({ incidents: { list } }) => list,
};

const decisions: ReportList<Evidence["done"]["records"][number]> = {
  columns: pickColumns(CUSTODY_COLUMNS, [
    ...["number", "at", "action", "asset_id", "target", "mode", "operator_id", "justification", "hash"],
  ]),
  rows: ({ done }) => (done.complete ? done.records : undefined),
};

type Gap = { gap: string; assetId: string; hostname: string; since?: string; sources?: readonly string[] };

/**
 * Hosts about which the report has no data or incomplete data. These hosts are silent, were never seen, have
 * failed sources, or have expired.
 */
const gaps: ReportList<Gap> = {
  columns: [
    ["gap", (row) => row.gap],
    ["asset_id", (row) => row.assetId],
    ["hostname", (row) => row.hostname],
    ["since", (row) => row.since],
    ["sources", (row) => row.sources?.join("; ")],
  ],
  rows: ({ coverage: { silent, neverSeen, sourcesFailing, expired } }) => [
    ...silent.map(({ lastSeenAt, ...host }) => ({ gap: "silent", since: lastSeenAt, ...host })),
    ...neverSeen.map(({ enrolledAt, ...host }) => ({ gap: "never seen", since: enrolledAt, ...host })),
    ...sourcesFailing.map((host) => ({ gap: "sources failing", ...host })),
    ...expired.map(({ reason, ...host }) => ({ gap: `expired (${reason})`, ...host })),
  ],
};

const LISTS = { engines, models, incidents, decisions, gaps };
export type ReportListName = keyof typeof LISTS;
export const reportListName = z.enum(Object.keys(LISTS) as ReportListName[]);

/**
 * Formats a list of the report as CSV with all rows. Returns undefined if there are more rows than the report
 * can hold.
 */
export function reportCsv(name: ReportListName, evidence: Evidence): string | undefined {
  const { columns, rows } = LISTS[name] as ReportList<unknown>;
  const records = rows(evidence)?.map((row) => recordOf(columns, row));
  return records && headerOf(columns) + records.join("");
}

/**
 * True if the list is incomplete because the report does not read all data. The file name then says that the
 * list is partial.
 */
export function isPartial(name: ReportListName, { found, coverage }: Evidence): boolean {
  if (name === "engines" || name === "models") return found.unread + found.cut > 0 || !coverage.complete;
  return name !== "decisions" && !coverage.complete;
}
