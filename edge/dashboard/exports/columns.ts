import type { CustodyView } from "../../control/custody/list-custody.ts";
import type { IncidentView } from "../../control/incidents/list-incidents.ts";
import { type Cell, csvRecord } from "./csv.ts";

/** Columns of an exported list. Each column has a header name and a function that returns the cell of a row. */
export type Columns<Row> = readonly (readonly [name: string, of: (row: Row) => Cell])[];

export const headerOf = <Row>(columns: Columns<Row>): string => csvRecord(columns.map(([name]) => name));

export const recordOf = <Row>(columns: Columns<Row>, row: Row): string =>
  csvRecord(columns.map(([, of]) => of(row)));

/** Selects columns by name, in the order of `names`. Throws if there is no column with one of these names. */
export function pickColumns<Row>(columns: Columns<Row>, names: readonly string[]): Columns<Row> {
  const known = new Map(columns);
  return names.map((name) => {
    const of = known.get(name);
    if (!of) throw new Error(`unknown column ${name}`);
    return [name, of] as const;
  });
}

export const INCIDENT_COLUMNS: Columns<IncidentView> = [
  ["incident_id", (row) => row.id],
  ["risk", (row) => row.risk],
  ["points", (row) => row.points],
  ["status", (row) => row.status],
  ["rule", (row) => row.rule],
  ["title", (row) => row.title],
  ["source", (row) => row.source ?? "rule"],
  ["atlas", (row) => row.atlas],
  ["engine", (row) => row.engineName],
  ["asset_id", (row) => row.assetId],
  ["hostname", (row) => row.hostname],
  ["explanation", (row) => row.explanation],
  ["remediation", (row) => row.remediation],
  ["opened_at", (row) => row.openedAt],
  ["last_seen_at", (row) => row.lastSeenAt],
  ["acknowledged_at", (row) => row.acknowledgedAt],
  ["acknowledged_by", (row) => row.acknowledgedBy],
  ["resolved_at", (row) => row.resolvedAt],
  ["resolved_by", (row) => row.resolvedBy],
  ["resolution", (row) => row.resolution],
];

export const CUSTODY_COLUMNS: Columns<CustodyView> = [
  ["number", (row) => row.tenantNumber],
  ["at", (row) => row.at],
  ["action", (row) => row.action],
  ["asset_id", (row) => row.assetId],
  ["target", (row) => row.target],
  ["mode", (row) => row.mode],
  ["generation", (row) => row.generation],
  ["before", (row) => row.before],
  ["after", (row) => row.after],
  ["operator_id", (row) => row.operatorId],
  ["source_ip", (row) => row.sourceIp],
  ["session_id", (row) => row.sessionId],
  ["request_id", (row) => row.requestId],
  ["justification", (row) => row.justification],
  ["hash", (row) => row.hash],
  ["previous_hash", (row) => row.previousHash],
  ["tenant_previous_hash", (row) => row.tenantPreviousHash],
];
