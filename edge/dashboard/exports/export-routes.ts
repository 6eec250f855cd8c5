import type { Context, Hono } from "hono";
import { createMiddleware } from "hono/factory";
import { z } from "zod";
import { timestamp } from "../../../shared/time/clock.ts";
import { refuse } from "../../../shared/verdict.ts";
import { authenticate, may } from "../../auth/authenticate.ts";
import type { Permission } from "../../auth/permissions.ts";
import { streamText } from "../../http/stream-text.ts";
import { valid, validate } from "../../http/validate.ts";
import type { Env } from "../../request-env.ts";
import type { DashboardDeps } from "../deps.ts";
import type { FleetReads } from "../inventory/inventory-query.ts";
import { gatherEvidence } from "../report/report-data.ts";
import { isPartial, reportCsv, reportListName } from "../report/report-exports.ts";
import { periodOf, reportQuery } from "../report/report-period.ts";
import { sendFailure, sendUnauthenticated } from "../routing/render-response.ts";
import { headerOf, recordOf } from "./columns.ts";
import { EXPORT_LISTS, type ExportContext, type ExportList } from "./export-lists.ts";

/** The text of an export, one page at a time: a JSON array, or CSV with a header. */
async function* textOf<Query, Row>(
  { columns, pages, document }: ExportList<Query, Row>,
  format: "csv" | "json",
  query: Query,
  context: ExportContext,
): AsyncGenerator<string> {
  const objectOf = (row: Row) =>
    JSON.stringify(Object.fromEntries(columns.map(([name, of]) => [name, of(row)])));
  if (format === "json" && document) return yield* document(context);
  const rowOf = (row: Row) => recordOf(columns, row);
  const header = headerOf(columns);
  let begun = false;
  for await (const rows of pages(query, context)) {
    if (rows.length === 0) continue;
    // The header is sent with the first page. If the first read fails, the user gets an error instead of an
    // empty file.
    if (format === "csv") yield `${begun ? "" : header}${rows.map(rowOf).join("")}`;
    else yield `${begun ? ",\n" : "[\n"}${rows.map(objectOf).join(",\n")}`;
    begun = true;
  }
  if (format === "csv") yield begun ? "" : header;
  else yield begun ? "\n]\n" : "[]\n";
}

/** Response headers of a download. Browsers save the response as a file. They neither run it nor cache it. */
function downloadHeaders(name: string, format: "csv" | "json", nowMs: number): Record<string, string> {
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

/**
 * Adds the export routes, for example `/assets.csv` and `/assets.json`. Each export contains the complete
 * list, and accepts the same filters as the page of the list.
 */
export function exportRoutes(
  app: Hono<Env>,
  deps: DashboardDeps,
  readsOf: (c: Context<Env>) => FleetReads,
): void {
  const serve = <Query, Row>(list: ExportList<Query, Row>, format: "csv" | "json") =>
    app.get(`/${list.name}.${format}`, signedIn(deps, list.needs), queryOf(list.query, deps), async (c) => {
      const query = (list.query ? valid(c, "query", list.query) : {}) as Query;
      const context = { admin: c.var.admin, deps, ...readsOf(c) };
      const tooLong = format === "csv" ? await list.tooLong?.(context) : undefined;
      if (tooLong !== undefined) return sendFailure(c, refuse("admin.too-long", tooLong), deps);
      const isActiveOnly = list.leavesOutExpired?.(query) ?? false;
      const expired = isActiveOnly ? (await context.fleetOf(context.admin.tenantId)).expired.length : 0;
      const suffix = expired === 0 ? "" : `-without-${expired}-expired-${expired === 1 ? "host" : "hosts"}`;
      const parts = textOf(list, format, query, context);
      const { requestId } = c.var;
      const body = await streamText(parts, (error) =>
        deps.log("error", "export.failed", { requestId, list: list.name, error }),
      );
      return c.body(body, 200, downloadHeaders(`${list.name}${suffix}`, format, deps.clock()));
    });
  for (const list of EXPORT_LISTS)
    for (const format of ["csv", "json"] as const) serve(list as ExportList<unknown, unknown>, format);
  reportDownloads(app, deps);
}

/** Middleware that requires a session, and a permission if the list needs one. */
const signedIn = (deps: DashboardDeps, needs?: Permission) =>
  createMiddleware<Env>(async function signedIn(c, next) {
    const admin = await authenticate(c.req.raw, deps);
    if (!admin.ok) return sendUnauthenticated(c, admin, deps);
    c.set("admin", admin.value);
    if (needs && !may(admin.value, needs)) return sendFailure(c, refuse("admin.forbidden"), deps);
    await next();
  });

const queryOf = (schema: z.ZodType | undefined, deps: DashboardDeps) =>
  validate("query", schema ?? z.object({}), (c) => sendFailure(c, refuse("admin.invalid", "query"), deps));

/** An unknown list name is ignored, because the JSON file contains all lists. */
const reportFileQuery = reportQuery.extend({ list: reportListName.optional().catch(undefined) });

/**
 * Adds the downloads of the report. `/report.json` is the complete report. `/report.csv?list=engines` is one
 * of its lists, with all rows.
 */
function reportDownloads(app: Hono<Env>, deps: DashboardDeps): void {
  const serve = (format: "csv" | "json") =>
    app.get(`/report.${format}`, signedIn(deps), queryOf(reportFileQuery, deps), async (c) => {
      const { list, ...query } = valid(c, "query", reportFileQuery);
      const period = periodOf(query, deps.clock());
      if (!period || (format === "csv" && list === undefined))
        return sendFailure(c, refuse("admin.invalid", "query"), deps);
      const evidence = await gatherEvidence(deps, c.var.admin.tenantId, period);
      if (list === undefined || format === "json")
        return c.body(
          `${JSON.stringify(evidence)}\n`,
          200,
          downloadHeaders("evidence", "json", deps.clock()),
        );
      const csv = reportCsv(list, evidence);
      if (csv === undefined) return sendFailure(c, refuse("admin.too-long", TOO_MANY_DECISIONS), deps);
      const name = `evidence-${list}${isPartial(list, evidence) ? "-part" : ""}`;
      return c.body(csv, 200, downloadHeaders(name, "csv", deps.clock()));
    });
  serve("json");
  serve("csv");
}

const TOO_MANY_DECISIONS =
  "this period has more custody records than a report can hold. To get the records, choose fewer days or export the custody log";
