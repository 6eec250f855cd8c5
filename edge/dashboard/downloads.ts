import type { Context, Hono } from "hono";
import type { z } from "zod";
import { utf8 } from "../../shared/bytes.ts";
import { timestamp } from "../../shared/clock.ts";
import { refuse } from "../../shared/refusal.ts";
import { type Admin, authenticate } from "../admin/authenticate.ts";
import {
  type AssetView,
  type CustodyView,
  exportCustody,
  type IncidentView,
  listAssets,
  listEmployeeAssets,
  listIncidents,
  type Page,
} from "../admin/read.ts";
import type { Env } from "../answer.ts";
import type { Deps } from "../deps.ts";
import { type AssetQuery, assetQuery } from "./assets.tsx";
import { type Cell, csvRecord } from "./csv.ts";
import { employeesOf } from "./employees.tsx";
import { gatherEvidence } from "./evidence.ts";
import { type Fleet, inventoryOf, matching } from "./fleet.ts";
import { contains, type IncidentQuery, incidentQuery, RISKS_SHOWN } from "./incidents.tsx";
import { periodOf, reportQuery } from "./report.tsx";
import { sendFailure, sendStranger } from "./respond.ts";

type FleetOf = (tenantId: string) => Promise<Fleet>;
type Asked = { admin: Admin; deps: Deps; fleetOf: FleetOf };

/** A list that can be taken away: what its columns are called, and its rows, a page of the table at a time. */
type List<Query, Row> = {
  name: string;
  query?: z.ZodType<Query>;
  columns: readonly (readonly [name: string, of: (row: Row) => Cell])[];
  pages(query: Query, asked: Asked): AsyncIterable<readonly Row[]>;
  /** As JSON, where a program wants more than the rows. */
  document?(asked: Asked): Promise<unknown>;
};

const PAGE_ROWS = 200;
const joined = (values: Iterable<string>): string => [...values].join("; ");

/** Every page of a list, one after the other: never more of it in memory than one. */
async function* everyPage<Row>(read: (page: { limit: number; from?: string }) => Promise<Page<Row>>) {
  let from: string | undefined;
  do {
    const page = await read({ limit: PAGE_ROWS, ...(from !== undefined && { from }) });
    yield page.items;
    from = page.cursor;
  } while (from !== undefined);
}

const ASSET_COLUMNS: List<AssetQuery, AssetView>["columns"] = [
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
  ["failed_sources", (row) => row.presence && joined(row.presence.failedCollectors)],
  ["agent_version", (row) => row.presence?.agentVersion],
];

const assets: List<AssetQuery, AssetView> = {
  name: "assets",
  query: assetQuery as z.ZodType<AssetQuery>,
  columns: ASSET_COLUMNS,
  async *pages({ cursor: _cursor, after: _after, ...filter }, { admin, deps }) {
    const read =
      filter.employee === undefined
        ? (page: { limit: number; from?: string }) => listAssets(deps, admin.tenantId, page)
        : (page: { limit: number; from?: string }) =>
            listEmployeeAssets(deps, admin.tenantId, filter.employee!, page);
    for await (const page of everyPage(read)) yield matching(page, filter, deps.clock());
  },
};

const incidents: List<IncidentQuery, IncidentView> = {
  name: "incidents",
  query: incidentQuery as z.ZodType<IncidentQuery>,
  columns: [
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
  ],
  async *pages({ risk, q }, { admin, deps }) {
    for (const each of risk ? [risk] : RISKS_SHOWN) {
      const read = (page: { limit: number; from?: string }) =>
        listIncidents(deps, admin.tenantId, { risk: each, ...page });
      for await (const page of everyPage(read)) yield page.filter((incident) => contains(incident, q));
    }
  },
};

type Found = {
  what: string;
  id: string;
  name: string;
  kind?: string | undefined;
  row: Fleet["rows"][number];
};

/** One row for each engine or model on each host: who runs what. */
const inventory: List<object, Found> = {
  name: "inventory",
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
  async *pages(_query, { admin, deps, fleetOf }) {
    const { rows, complete } = await fleetOf(admin.tenantId);
    if (!complete) deps.log("warn", "export.partial", { tenantId: admin.tenantId, rows: rows.length });
    const { engines, models, kindOf, withEngine, withModel } = inventoryOf(rows);
    for (const { key: id, name } of engines)
      yield (withEngine.get(id) ?? []).map((row) => ({
        what: "engine",
        id,
        name,
        kind: kindOf.get(id),
        row,
      }));
    for (const { key: id, name } of models)
      yield (withModel.get(id) ?? []).map((row) => ({ what: "model", id, name, row }));
  },
};

const employees: List<object, ReturnType<typeof employeesOf>[number]> = {
  name: "employees",
  columns: [
    ["employee_id", (row) => row.id],
    ["hosts", (row) => row.hosts],
    ["hosts_with_ai", (row) => row.withAi],
    ["engines", (row) => joined(row.engines)],
    ["models", (row) => joined(row.models)],
  ],
  async *pages(_query, { admin, fleetOf }) {
    yield employeesOf((await fleetOf(admin.tenantId)).rows);
  },
};

const custody: List<object, CustodyView> = {
  name: "custody",
  columns: [
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
  ],
  async *pages(_query, { admin, deps }) {
    const { records } = await exportCustody(deps, admin.tenantId);
    yield records.sort((a, b) => a.tenantNumber - b.tenantNumber);
  },
  /** With the signed head: `lz audit verify` takes it as it is. */
  document: ({ admin, deps }) => exportCustody(deps, admin.tenantId),
};

/** Rows as one JSON array, or as CSV with a header: text as it comes, a page at a time. */
async function* written<Query, Row>(
  { columns, pages, document }: List<Query, Row>,
  format: "csv" | "json",
  query: Query,
  asked: Asked,
): AsyncGenerator<string> {
  const objectOf = (row: Row) =>
    JSON.stringify(Object.fromEntries(columns.map(([name, of]) => [name, of(row)])));
  if (format === "json" && document) return yield `${JSON.stringify(await document(asked))}\n`;
  const rowOf = (row: Row) => csvRecord(columns.map(([, of]) => of(row)));
  const header = csvRecord(columns.map(([name]) => name));
  let begun = false;
  for await (const rows of pages(query, asked)) {
    if (rows.length === 0) continue;
    // What opens the file comes with its first page, and so after the first read of the table.
    if (format === "csv") yield `${begun ? "" : header}${rows.map(rowOf).join("")}`;
    else yield `${begun ? ",\n" : "[\n"}${rows.map(objectOf).join(",\n")}`;
    begun = true;
  }
  if (format === "csv") yield begun ? "" : header;
  else yield begun ? "\n]\n" : "[]\n";
}

/** A file, never a page: nothing in it can run, and no store keeps it. */
export function downloadHeaders(name: string, format: "csv" | "json", nowMs: number): Record<string, string> {
  const at = timestamp(nowMs).replace(/[-:]|\.\d+/g, "");
  return {
    "content-type": format === "csv" ? "text/csv; charset=utf-8; header=present" : "application/json",
    "content-disposition": `attachment; filename="lifecyclezero-${name}-${at}.${format}"`,
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
  };
}

/** One pull, one page. A fault in the middle breaks the download off: a short file must not look like a whole one. */
function streamOf(parts: AsyncGenerator<string>, onFault: (fault: unknown) => void): ReadableStream {
  return new ReadableStream({
    async pull(controller) {
      try {
        const { done, value } = await parts.next();
        if (done) controller.close();
        else controller.enqueue(utf8(value));
      } catch (fault) {
        onFault(fault);
        controller.error(fault);
      }
    },
    async cancel() {
      await parts.return(undefined);
    },
  });
}

/** `/assets.csv`, `/assets.json` and so on: what the list of that name shows, with its filters, all of it. */
export function downloadRoutes(app: Hono<Env>, deps: Deps, fleetOf: FleetOf): void {
  const serve = <Query, Row>(list: List<Query, Row>, format: "csv" | "json") =>
    app.get(`/${list.name}.${format}`, async (c: Context<Env>) => {
      const admin = await authenticate(c.req.raw, deps);
      if (!admin.ok) return sendStranger(c, admin, deps);
      c.set("admin", admin.value);
      const query = list.query ? list.query.safeParse(c.req.query()) : undefined;
      if (query && !query.success) return sendFailure(c, refuse("admin.invalid", "query"), deps);
      const asked = { admin: admin.value, deps, fleetOf };
      const parts = written(list, format, (query?.data ?? {}) as Query, asked);
      const { requestId } = c.var;
      // The first page is read before the status is sent, so that a table that is away is a 503 and no empty file.
      const first = await parts.next();
      const body = streamOf(resumed(first, parts), (error) =>
        deps.log("error", "export.failed", { requestId, list: list.name, error }),
      );
      return c.body(body, 200, downloadHeaders(list.name, format, deps.clock()));
    });
  app.get("/report.json", async (c) => {
    const admin = await authenticate(c.req.raw, deps);
    if (!admin.ok) return sendStranger(c, admin, deps);
    c.set("admin", admin.value);
    const query = reportQuery.safeParse(c.req.query());
    const period = query.success ? periodOf(query.data, deps.clock()) : undefined;
    if (!period) return sendFailure(c, refuse("admin.invalid", "query"), deps);
    const evidence = await gatherEvidence(deps, admin.value.tenantId, period);
    return c.body(`${JSON.stringify(evidence)}\n`, 200, downloadHeaders("evidence", "json", deps.clock()));
  });
  for (const format of ["csv", "json"] as const) {
    serve(assets, format);
    serve(incidents, format);
    serve(inventory, format);
    serve(employees, format);
    serve(custody, format);
  }
}

async function* resumed(first: IteratorResult<string>, rest: AsyncGenerator<string>): AsyncGenerator<string> {
  if (first.done) return;
  yield first.value;
  yield* rest;
}
