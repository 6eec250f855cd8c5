import type { Context, Hono } from "hono";
import { createMiddleware } from "hono/factory";
import { z } from "zod";
import { timestamp } from "../../../shared/time/clock.ts";
import { refuse } from "../../../shared/verdict.ts";
import { authenticate, may } from "../../auth/authenticate.ts";
import type { Permission } from "../../auth/permissions.ts";
import type { Deps } from "../../deps.ts";
import { streamText } from "../../http/stream-text.ts";
import { valid, validate } from "../../http/validate.ts";
import type { Env } from "../../request-env.ts";
import type { FleetReads } from "../inventory/inventory-page.tsx";
import { gatherEvidence } from "../report/report-data.ts";
import { isPartly, reportCsv, reportListName } from "../report/report-exports.ts";
import { periodOf, reportQuery } from "../report/report-page.tsx";
import { sendFailure, sendStranger } from "../routing/render-response.ts";
import { csvRecord } from "./csv.ts";
import { type Asked, DOWNLOAD_LISTS, type List } from "./export-definitions.ts";

/** Rows as one JSON array, or as CSV with a header: text as it comes, a page at a time. */
async function* written<Query, Row>(
  { columns, pages, document }: List<Query, Row>,
  format: "csv" | "json",
  query: Query,
  asked: Asked,
): AsyncGenerator<string> {
  const objectOf = (row: Row) =>
    JSON.stringify(Object.fromEntries(columns.map(([name, of]) => [name, of(row)])));
  if (format === "json" && document) return yield* document(asked);
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

/** `/assets.csv`, `/assets.json` and so on: what the list of that name shows, with its filters, all of it. */
export function downloadRoutes(app: Hono<Env>, deps: Deps, readsOf: (c: Context<Env>) => FleetReads): void {
  const serve = <Query, Row>(list: List<Query, Row>, format: "csv" | "json") =>
    app.get(`/${list.name}.${format}`, signedIn(deps, list.needs), queryOf(list.query, deps), async (c) => {
      const query = (list.query ? valid(c, "query", list.query) : {}) as Query;
      const asked = { admin: c.var.admin, deps, ...readsOf(c) };
      const tooLong = format === "csv" ? await list.tooLong?.(asked) : undefined;
      if (tooLong !== undefined) return sendFailure(c, refuse("admin.too-long", tooLong), deps);
      const isOfActive = list.leavesOutExpired?.(query) ?? false;
      const expired = isOfActive ? (await asked.fleetOf(asked.admin.tenantId)).expired.length : 0;
      const left = expired === 0 ? "" : `-without-${expired}-expired-${expired === 1 ? "host" : "hosts"}`;
      const parts = written(list, format, query, asked);
      const { requestId } = c.var;
      const body = await streamText(parts, (error) =>
        deps.log("error", "export.failed", { requestId, list: list.name, error }),
      );
      return c.body(body, 200, downloadHeaders(`${list.name}${left}`, format, deps.clock()));
    });
  for (const list of DOWNLOAD_LISTS)
    for (const format of ["csv", "json"] as const) serve(list as List<unknown, unknown>, format);
  reportDownloads(app, deps);
}

/** Behind a session, and a right if the list takes one. */
const signedIn = (deps: Deps, needs?: Permission) =>
  createMiddleware<Env>(async function signedIn(c, next) {
    const admin = await authenticate(c.req.raw, deps);
    if (!admin.ok) return sendStranger(c, admin, deps);
    c.set("admin", admin.value);
    if (needs && !may(admin.value, needs)) return sendFailure(c, refuse("admin.forbidden"), deps);
    await next();
  });

const queryOf = (schema: z.ZodType | undefined, deps: Deps) =>
  validate("query", schema ?? z.object({}), (c) => sendFailure(c, refuse("admin.invalid", "query"), deps));

/** An unknown list is ignored, because the JSON file holds them all. */
const reportFileQuery = reportQuery.extend({ list: reportListName.optional().catch(undefined) });

/** `/report.json` is all of the report, `/report.csv?list=engines` one list of it with every row. */
function reportDownloads(app: Hono<Env>, deps: Deps): void {
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
      const name = `evidence-${list}${isPartly(list, evidence) ? "-part" : ""}`;
      return c.body(csv, 200, downloadHeaders(name, "csv", deps.clock()));
    });
  serve("json");
  serve("csv");
}

const TOO_MANY_DECISIONS =
  "there are more custody records in these days than a report can hold. Choose fewer days, or export the log";
