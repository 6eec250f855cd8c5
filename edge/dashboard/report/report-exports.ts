import { z } from "zod";
import { type Cell, csvRecord } from "../exports/csv.ts";
import type { Counted } from "./detections-in-period.ts";
import type { Evidence } from "./report-data.ts";

type Columns<Row> = readonly (readonly [name: string, of: (row: Row) => Cell])[];
/** The rows of one list of the report, whole; undefined where the report tells none of them. */
type ReportList<Row> = { columns: Columns<Row>; rows(evidence: Evidence): readonly Row[] | undefined };

const COUNTED: Columns<Counted> = [
  ["id", (row) => row.id],
  ["name", (row) => row.name],
  ["kind", (row) => row.kind],
  ["hosts", (row) => row.hosts],
  ["employees", (row) => row.employees],
  ["first_seen_at", (row) => row.firstSeenAt],
  ["last_seen_at", (row) => row.lastSeenAt],
];
const engines: ReportList<Counted> = { columns: COUNTED, rows: ({ found }) => found.engines };
const models: ReportList<Counted> = { columns: COUNTED, rows: ({ found }) => found.models };

const incidents: ReportList<Evidence["incidents"]["list"][number]> = {
  columns: [
    ["incident_id", (row) => row.id],
    ["risk", (row) => row.risk],
    ["points", (row) => row.points],
    ["status", (row) => row.status],
    ["rule", (row) => row.rule],
    ["title", (row) => row.title],
    ["engine", (row) => row.engineName],
    ["asset_id", (row) => row.assetId],
    ["hostname", (row) => row.hostname],
    ["opened_at", (row) => row.openedAt],
    ["acknowledged_at", (row) => row.acknowledgedAt],
    ["acknowledged_by", (row) => row.acknowledgedBy],
    ["resolved_at", (row) => row.resolvedAt],
    ["resolved_by", (row) => row.resolvedBy],
    ["resolution", (row) => row.resolution],
  ],
  rows: ({ incidents: { list } }) => list,
};

const decisions: ReportList<Evidence["done"]["records"][number]> = {
  columns: [
    ["number", (row) => row.tenantNumber],
    ["at", (row) => row.at],
    ["action", (row) => row.action],
    ["asset_id", (row) => row.assetId],
    ["target", (row) => row.target],
    ["mode", (row) => row.mode],
    ["operator_id", (row) => row.operatorId],
    ["justification", (row) => row.justification],
    ["hash", (row) => row.hash],
  ],
  rows: ({ done }) => (done.complete ? done.records : undefined),
};

type Gap = { gap: string; assetId: string; hostname: string; since?: string; sources?: readonly string[] };

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

/** A list of the report as CSV, every row of it; undefined when there are more than the report holds. */
export function reportCsv(name: ReportListName, evidence: Evidence): string | undefined {
  const { columns, rows } = LISTS[name] as ReportList<unknown>;
  const header = csvRecord(columns.map(([column]) => column));
  const records = rows(evidence)?.map((row) => csvRecord(columns.map(([, of]) => of(row))));
  return records && header + records.join("");
}

/** Whether the report looked at all there is for this list: a file of a part says so in its name. */
export function isPartly(name: ReportListName, { found, coverage }: Evidence): boolean {
  if (name === "engines" || name === "models") return found.unread + found.cut > 0 || !coverage.complete;
  return name !== "decisions" && !coverage.complete;
}
