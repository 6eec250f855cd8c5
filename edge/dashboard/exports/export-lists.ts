import { z } from "zod";
import type { FleetRow } from "../../../shared/fleet/read-fleet.ts";
import { assetId, slug } from "../../../shared/ids.ts";
import type { TelemetryChange } from "../../../shared/table/items/asset/telemetry.ts";
import type { Admin, Permission } from "../../auth/permissions.ts";
import { listTimeline } from "../../control/assets/asset-timeline.ts";
import type { AssetView } from "../../control/assets/asset-view.ts";
import { listAssets, listEmployeeAssets } from "../../control/assets/read-assets.ts";
import { listApprovals } from "../../control/containment/list-approvals.ts";
import type { EnrolmentTokenView } from "../../control/credentials/credential-views.ts";
import { listEnrolmentTokens } from "../../control/credentials/manage-enrolment-tokens.ts";
import {
  CUSTODY_HELD_MAX,
  custodyJson,
  holdCustody,
  readCustody,
} from "../../control/custody/export-custody-log.ts";
import type { CustodyView } from "../../control/custody/list-custody.ts";
import { type IncidentView, listIncidents } from "../../control/incidents/list-incidents.ts";
import type { Page } from "../../control/table-query.ts";
import { listDeliveries } from "../../control/webhooks/list-deliveries.ts";
import type { DeliveryView } from "../../control/webhooks/webhook-views.ts";
import type { ApprovalView } from "../approvals/pending-approvals.ts";
import { type AssetQuery, assetQuery } from "../assets/asset-list-page.tsx";
import { plural } from "../components/badges.tsx";
import { type CustodyQuery, custodyMatcher, custodyQuery } from "../custody/custody-search.ts";
import type { DashboardDeps } from "../deps.ts";
import {
  type EmployeesQuery,
  employeesMatching,
  employeesOf,
  employeesQuery,
} from "../employees/employee-data.ts";
import {
  employeesBy,
  everyResolved,
  type IncidentQuery,
  incidentMatcher,
  incidentQuery,
  RISKS_SHOWN,
  unknownEmployee,
} from "../incidents/incident-search.ts";
import { DELIVERY_STATES } from "../integrations/delivery-table.tsx";
import { type HeldModel, modelsOf } from "../inventory/fleet-models.ts";
import {
  entriesMatching,
  type FleetReads,
  type InventoryQuery,
  inventoryQuery,
  modelsMatching,
} from "../inventory/inventory-query.ts";
import { allRows, inventoryOf, lifecycleOf, matching } from "../overview/fleet-cache.ts";
import { type Columns, CUSTODY_COLUMNS, INCIDENT_COLUMNS } from "./columns.ts";

/** Data for an export: the user who requests it, and cached reads of the fleet. */
export type ExportContext = { admin: Admin; deps: DashboardDeps } & FleetReads;

/** An exported list with its columns and rows. The rows are read one table page at a time. */
export type ExportList<Query, Row> = {
  name: string;
  /** Permission that the export needs. If absent, every role can export the list. */
  needs?: Permission;
  query?: z.ZodType<Query>;
  columns: Columns<Row>;
  pages(query: Query, asked: ExportContext): AsyncIterable<readonly Row[]>;
  /** Streams the JSON document as text. Absent if the document is only the array of rows. */
  document?(asked: ExportContext): AsyncGenerator<string>;
  /**
   * True if the list contains only hosts on the active list. The file name then says how many expired hosts
   * are left out.
   */
  leavesOutExpired?(query: Query): boolean;
  /** If the list is too long for CSV, returns a text that tells the user why. Otherwise returns undefined. */
  tooLong?(asked: ExportContext): Promise<string | undefined>;
};

const PAGE_ROWS = 200;
const joined = (values: Iterable<string>): string => [...values].join("; ");

/** Reads all pages of a list, with one page in memory at a time. */
async function* everyPage<Row>(read: (page: { limit: number; from?: string }) => Promise<Page<Row>>) {
  let from: string | undefined;
  do {
    const page = await read({ limit: PAGE_ROWS, ...(from !== undefined && { from }) });
    yield page.items;
    from = page.cursor;
  } while (from !== undefined);
}

const ASSET_COLUMNS: Columns<AssetView> = [
  ["asset_id", (row) => row.assetId],
  ["hostname", (row) => row.hostname],
  ["employee_id", (row) => row.employeeId],
  ["os", (row) => row.os],
  ["arch", (row) => row.arch],
  ["enrolled_at", (row) => row.enrolledAt],
  ["revoked_at", (row) => row.revokedAt],
  ["containment", (row) => row.containment.state],
  ["containment_mode", (row) => row.containment.mode],
  ["last_seen_at", (row) => row.presence?.lastSeenAt],
  ["risk", (row) => row.presence?.risk],
  ["score", (row) => row.presence?.score],
  ["engines", (row) => row.presence && joined(row.presence.engines.map(({ name }) => name))],
  ["models", (row) => row.presence && joined(row.presence.models)],
  ["clients", (row) => row.presence && joined(row.presence.clients)],
  ["failed_sources", (row) => row.presence && joined(row.presence.failedCollectors)],
  ["agent_version", (row) => row.presence?.agentVersion],
  ["lifecycle", (row) => row.lifecycle.reason ?? row.lifecycle.state],
  ["superseded_by", (row) => row.supersededBy],
];

const assets: ExportList<AssetQuery, AssetView> = {
  name: "assets",
  query: assetQuery as z.ZodType<AssetQuery>,
  columns: ASSET_COLUMNS,
  leavesOutExpired: (filter) => lifecycleOf(filter) === "active",
  async *pages({ cursor: _cursor, after: _after, ...filter }, { admin, deps }) {
    const lifecycle = lifecycleOf(filter);
    const isIncluded = ({ lifecycle: { state } }: AssetView) => lifecycle === "all" || state === lifecycle;
    const read =
      filter.employee === undefined
        ? (page: { limit: number; from?: string }) => listAssets(deps, admin.tenantId, { ...page, lifecycle })
        : (page: { limit: number; from?: string }) =>
            listEmployeeAssets(deps, admin.tenantId, filter.employee!, page);
    for await (const page of everyPage(read)) yield matching(page.filter(isIncluded), filter, deps.clock());
  },
};

const incidents: ExportList<IncidentQuery, IncidentView> = {
  name: "incidents",
  query: incidentQuery as z.ZodType<IncidentQuery>,
  columns: INCIDENT_COLUMNS,
  leavesOutExpired: ({ status, hosts }) => status !== "resolved" && (hosts ?? "active") === "active",
  async *pages(query, { admin, deps, fleetOf }) {
    const { tenantId } = admin;
    const employeeOf =
      query.q === undefined ? unknownEmployee : employeesBy(allRows(await fleetOf(tenantId)));
    const matches = incidentMatcher(query, employeeOf, deps.clock());
    if (query.status === "resolved") {
      for await (const page of everyResolved(deps, tenantId)) yield page.filter(matches);
      return;
    }
    for (const risk of query.risk ? [query.risk] : RISKS_SHOWN) {
      const read = (page: { limit: number; from?: string }) =>
        listIncidents(deps, tenantId, { risk, lifecycle: query.hosts ?? "active", ...page });
      for await (const page of everyPage(read)) yield page.filter(matches);
    }
  },
};

type Found = {
  what: string;
  id: string;
  name: string;
  kind?: string | undefined;
  row: FleetRow;
};

/** The inventory list, with one row for each engine, model and client on each host. */
const inventory: ExportList<InventoryQuery, Found> = {
  name: "inventory",
  query: inventoryQuery as z.ZodType<InventoryQuery>,
  columns: [
    ["what", ({ what }) => what],
    ["id", ({ id }) => id],
    ["name", ({ name }) => name],
    ["kind", ({ kind }) => kind],
    ["asset_id", ({ row }) => row.assetId],
    ["hostname", ({ row }) => row.hostname],
    ["employee_id", ({ row }) => row.employeeId],
    ["last_seen_at", ({ row }) => row.presence?.lastSeenAt],
  ],
  leavesOutExpired: () => true,
  async *pages({ q }, { admin, deps, fleetOf }) {
    const { rows, complete } = await fleetOf(admin.tenantId);
    if (!complete) deps.log("warn", "export.partial", { tenantId: admin.tenantId, rows: rows.length });
    const { engines, models, clients, kindOf, withEngine, withModel, withClient } = inventoryOf(rows);
    for (const { key: id, name } of entriesMatching(engines, q, kindOf))
      yield (withEngine.get(id) ?? []).map((row) => ({
        what: "engine",
        id,
        name,
        kind: kindOf.get(id),
        row,
      }));
    for (const { key: id, name } of entriesMatching(models, q))
      yield (withModel.get(id) ?? []).map((row) => ({ what: "model", id, name, row }));
    for (const { key: id, name } of entriesMatching(clients, q))
      yield (withClient.get(id) ?? []).map((row) => ({ what: "client", id, name, row }));
  },
};

const employees: ExportList<EmployeesQuery, ReturnType<typeof employeesOf>[number]> = {
  name: "employees",
  query: employeesQuery as z.ZodType<EmployeesQuery>,
  columns: [
    ["employee_id", (row) => row.id],
    ["hosts", (row) => row.hosts],
    ["hosts_with_ai", (row) => row.withAi],
    ["engines", (row) => joined(row.engines)],
    ["models", (row) => joined(row.models)],
  ],
  leavesOutExpired: () => true,
  async *pages({ q }, { admin, fleetOf }) {
    yield employeesMatching(employeesOf((await fleetOf(admin.tenantId)).rows), q);
  },
};

const custody: ExportList<CustodyQuery, CustodyView> = {
  name: "custody",
  query: custodyQuery as z.ZodType<CustodyQuery>,
  columns: CUSTODY_COLUMNS,
  async *pages(query, { admin, deps, fleetOf }) {
    const fleet = await fleetOf(admin.tenantId);
    const wanted = custodyMatcher(query, new Map(allRows(fleet).map((row) => [row.assetId, row.hostname])));
    const { picked } = await holdCustody(deps, admin.tenantId, wanted);
    if (!picked) throw new Error("the custody log has become too long for a CSV");
    yield picked;
  },
  /** The complete log with its signed head, in the format that `lz audit verify` reads. */
  document: ({ admin, deps }) => custodyJson(deps, admin.tenantId),
  async tooLong({ admin, deps }) {
    const { head } = await readCustody(deps, admin.tenantId);
    if (!head || head.count <= CUSTODY_HELD_MAX) return undefined;
    return `the custody log has ${plural(head.count, "record")}, and a CSV can have at most ${plural(CUSTODY_HELD_MAX, "record")}. Download the JSON or run lz audit export: both contain the complete log`;
  },
};

const modelsQuery = z.object({
  name: z.string().max(200).optional(),
  q: z.string().max(200).optional(),
});

/** The list of models. It has one row for each model on each host, with its details. */
const models: ExportList<z.infer<typeof modelsQuery>, HeldModel> = {
  name: "models",
  query: modelsQuery,
  columns: [
    ["model", (row) => row.name],
    ["in_memory", (row) => row.loaded],
    ["engine", (row) => row.engine],
    ["licence", (row) => row.licence],
    ["size_bytes", (row) => row.sizeBytes],
    ["parameters", (row) => row.parameters],
    ["quantisation", (row) => row.quantisation],
    ["publisher", (row) => row.publisher],
    ["asset_id", (row) => row.row.assetId],
    ["hostname", (row) => row.row.hostname],
    ["employee_id", (row) => row.row.employeeId],
    ["last_seen_at", (row) => row.row.presence?.lastSeenAt],
  ],
  leavesOutExpired: () => true,
  async *pages({ name, q }, { admin, fleetOf, holdingsOf }) {
    const { tenantId } = admin;
    const [{ rows }, { holdings }] = await Promise.all([fleetOf(tenantId), holdingsOf(tenantId)]);
    for (const model of modelsMatching(modelsOf(rows, holdings), q))
      if (name === undefined || model.name === name) yield model.held;
  },
};

const approvals: ExportList<object, ApprovalView> = {
  name: "approvals",
  columns: [
    ["approval_id", (row) => row.approvalId],
    ["asset_id", (row) => row.assetId],
    ["mode", (row) => row.mode],
    ["justification", (row) => row.justification],
    ["requested_by", (row) => row.requestedBy],
    ["requested_at", (row) => row.requestedAt],
    ["valid_until", (row) => row.validUntil],
    ["approved_by", (row) => row.approvedBy],
    ["approved_at", (row) => row.approvedAt],
    ["denied_by", (row) => row.deniedBy],
    ["denied_at", (row) => row.deniedAt],
  ],
  pages: (_query, { admin, deps }) => everyPage((page) => listApprovals(deps, admin.tenantId, page)),
};

const tokens: ExportList<object, EnrolmentTokenView> = {
  name: "enrolment-tokens",
  needs: "manage-tokens",
  columns: [
    ["token_id", (row) => row.tokenId],
    ["status", (row) => row.status],
    ["uses", (row) => row.uses],
    ["used", (row) => row.used],
    ["created_at", (row) => row.createdAt],
    ["created_by", (row) => row.createdBy],
    ["valid_until", (row) => row.validUntil],
    ["revoked_at", (row) => row.revokedAt],
    ["asset_id", (row) => row.assetId],
  ],
  pages: (_query, { admin, deps }) => everyPage((page) => listEnrolmentTokens(deps, admin.tenantId, page)),
};

const deliveriesQuery = z.object({ webhook: slug, state: z.enum(DELIVERY_STATES).optional() });

const deliveries: ExportList<z.infer<typeof deliveriesQuery>, DeliveryView> = {
  name: "deliveries",
  needs: "manage-settings",
  query: deliveriesQuery,
  columns: [
    ["event_id", (row) => row.eventId],
    ["kind", (row) => row.kind],
    ["at", (row) => row.at],
    ["state", (row) => row.state],
    ["attempts", (row) => row.attempts],
    ["status", (row) => row.status],
    ["latency_ms", (row) => row.latencyMs],
    ["error", (row) => row.error],
    ["delivered_at", (row) => row.deliveredAt],
    ["dead_at", (row) => row.deadAt],
    ["next_attempt_at", (row) => row.nextAttemptAt],
    ["asset_id", (row) => row.assetId],
    ["hostname", (row) => row.hostname],
  ],
  pages: ({ webhook, state }, { admin, deps }) =>
    everyPage((page) => listDeliveries(deps, admin.tenantId, { webhookId: webhook, state }, page)),
};

const timelineQuery = z.object({ asset: assetId });

/** The timeline list: all recorded changes of one host. */
const timeline: ExportList<z.infer<typeof timelineQuery>, TelemetryChange> = {
  name: "timeline",
  query: timelineQuery,
  columns: [
    ["at", (row) => row.at],
    ["received_at", (row) => row.receivedAt],
    ["risk", (row) => row.risk],
    ["score", (row) => row.score],
    ["engines", (row) => joined(row.engines.map(({ name }) => name))],
    ["models", (row) => joined(row.engines.flatMap(({ models }) => models.map(({ name }) => name)))],
    ["findings", (row) => joined(row.findings.map(({ rule }) => rule))],
    [
      "failed_sources",
      (row) => joined(row.collectors.filter(({ status }) => status === "failed").map(({ name }) => name)),
    ],
    ["hostname", (row) => row.hostname],
    ["agent_version", (row) => row.agentVersion],
  ],
  pages: ({ asset }, { admin, deps }) => everyPage((page) => listTimeline(deps, admin.tenantId, asset, page)),
};

/** All lists that users can export. */
export const EXPORT_LISTS = [
  assets,
  incidents,
  inventory,
  models,
  employees,
  custody,
  approvals,
  tokens,
  deliveries,
  timeline,
] as const;
