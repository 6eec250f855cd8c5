import { type Context, Hono } from "hono";
import type { z } from "zod";
import { assetId, employeeId } from "../../shared/ids.ts";
import { type Refusal, refuse } from "../../shared/refusal.ts";
import { type Admin, authenticate, SESSION_COOKIE } from "../admin/authenticate.ts";
import { CursorFault } from "../admin/cursor.ts";
import type { Env } from "../answer.ts";
import type { Deps } from "../deps.ts";
import { assetPage } from "./asset.tsx";
import { assetQuery, assetsPage } from "./assets.tsx";
import { changeRoutes, noticeOf } from "./change-routes.ts";
import { isSameSite } from "./csrf.ts";
import { custodyPage } from "./custody-page.tsx";
import { downloadRoutes } from "./downloads.ts";
import { employeePage, employeesPage } from "./employees.tsx";
import { enrolmentPage } from "./enrolment.tsx";
import { unavailablePage } from "./failure.tsx";
import { createFleet } from "./fleet.ts";
import { incidentPage } from "./incident.tsx";
import { incidentQuery, incidentsPage } from "./incidents.tsx";
import { inventoryPage } from "./inventory.tsx";
import { overviewPage } from "./overview.tsx";
import { policyPage } from "./policy.tsx";
import { periodOf, reportPage, reportQuery } from "./report.tsx";
import { type Markup, sendFailure, sendPage, sendStranger } from "./respond.ts";
import { homeOrigin, returnPath, signInAddress } from "./return-path.ts";
import { settingsPage } from "./settings.tsx";
import { signInPage } from "./sign-in.tsx";
import { staticRoutes } from "./static-files.ts";

/**
 * The pages people see: server-rendered, readable without script, of the signed-in organisation only. Reading
 * needs a session; isolating and releasing need a role, a token of the form and a request from this very site.
 */
export function dashboardRoutes(deps: Deps): Hono<Env> {
  const app = new Hono<Env>();
  const fleetOf = createFleet(deps);
  app.onError((error, c) => {
    if (error instanceof CursorFault) return sendFailure(c, refuse("admin.invalid", "cursor"), deps);
    deps.log("error", "request.failed", { requestId: c.var.requestId, path: c.req.path, error });
    c.header("retry-after", "5");
    const failure = { admin: c.get("admin"), requestId: c.var.requestId, nowMs: deps.clock() };
    return sendPage(c, unavailablePage(failure), 503);
  });
  app.route("/", staticRoutes());
  signInRoutes(app, deps);

  const page = pageRoute(app, deps);
  page("/", (_c, admin) => overviewPage(admin, deps, fleetOf));
  page("/incidents", async (c, admin) => {
    const query = queryOf(c, incidentQuery);
    return query
      ? incidentsPage(admin, query, deps, noticeOf(c.req.query("done")))
      : refuse("admin.invalid", "query");
  });
  // Who reloads the answer to the form by its address finds the list.
  app.get("/incidents/acknowledge", (c) => c.redirect("/incidents", 302));
  page("/incidents/:id", async (c, admin) => {
    const notice = noticeOf(c.req.query("done"));
    return (
      (await incidentPage(admin, c.req.param("id") ?? "", deps, { notice })) ?? refuse("admin.not-found")
    );
  });
  page("/assets", async (c, admin) => {
    const query = queryOf(c, assetQuery);
    return query ? assetsPage(admin, query, deps, fleetOf) : refuse("admin.invalid", "query");
  });
  page("/assets/:id", async (c, admin) => {
    const id = assetId.safeParse(c.req.param("id"));
    const notice = noticeOf(c.req.query("done"));
    const told = id.success ? await assetPage(admin, id.data, deps, { notice }) : undefined;
    return told ?? refuse("admin.not-found");
  });
  page("/inventory", (_c, admin) => inventoryPage(admin, deps, fleetOf));
  page("/employees", (_c, admin) => employeesPage(admin, deps, fleetOf));
  page("/employees/:id", async (c, admin) => {
    const id = employeeId.safeParse(c.req.param("id"));
    const cursor = c.req.query("cursor");
    return id.success ? employeePage(admin, id.data, cursor, deps) : refuse("admin.not-found");
  });
  page("/custody", (_c, admin) => custodyPage(admin, deps, fleetOf));

  page("/report", async (c, admin) => {
    const query = queryOf(c, reportQuery);
    const period = query && periodOf(query, deps.clock());
    return period ? reportPage(admin, period, deps) : refuse("admin.invalid", "query");
  });

  page("/policy", (c, admin) => policyPage(admin, deps, { notice: noticeOf(c.req.query("done")) }));
  page("/settings", (c, admin) => settingsPage(admin, deps, { notice: noticeOf(c.req.query("done")) }));

  page("/enrol", (c, admin) => {
    return enrolmentPage(admin, deps, { origin: homeOrigin(c.req.raw, deps.admin.parties) });
  });

  downloadRoutes(app, deps, fleetOf);
  changeRoutes(app, deps);
  app.get("*", (c) => {
    const forPeople = (c.req.header("accept") ?? "").includes("text/html") && !c.req.path.startsWith("/v1/");
    return forPeople ? sendFailure(c, refuse("admin.not-found"), deps) : c.notFound();
  });
  return app;
}

type Answer = Markup | Refusal;
const isRefusal = (answer: Answer): answer is Refusal => (answer as { ok?: unknown }).ok === false;

/** A page behind a session: 302 to sign-in without one, 401 for the script of a page whose session has ended. */
function pageRoute(app: Hono<Env>, deps: Deps) {
  return (path: string, show: (c: Context<Env>, admin: Admin) => Promise<Answer>) =>
    app.get(path, async (c) => {
      const admin = await authenticate(c.req.raw, deps);
      if (!admin.ok) return sendStranger(c, admin, deps);
      c.set("admin", admin.value);
      const answer = await show(c, admin.value);
      return isRefusal(answer) ? sendFailure(c, answer, deps) : sendPage(c, answer);
    });
}

/** The query as its schema has it; undefined when a parameter is malformed. Unknown ones are left alone. */
function queryOf<Schema extends z.ZodType>(c: Context<Env>, schema: Schema): z.infer<Schema> | undefined {
  const parsed = schema.safeParse(c.req.query());
  return parsed.success ? parsed.data : undefined;
}

function signInRoutes(app: Hono<Env>, deps: Deps): void {
  app.get("/sign-in", async (c) => {
    const back = returnPath(c.req.query("return"));
    const admin = await authenticate(c.req.raw, deps);
    const switching = c.req.query("switch") !== undefined;
    if (admin.ok && !switching) return c.redirect(back, 302);
    const { signInUrl, parties } = deps.admin;
    const address = signInAddress(signInUrl, c.req.raw, parties, back);
    const ended = (c.req.header("cookie") ?? "").includes(`${SESSION_COOKIE}=`);
    return sendPage(c, signInPage({ address, ended, switching: admin.ok, nowMs: deps.clock() }));
  });
  app.post("/sign-out", async (c) => {
    if (!isSameSite(c.req.raw, deps.admin.parties)) return sendFailure(c, refuse("admin.cross-site"), deps);
    const secure = new URL(c.req.url).protocol === "https:" ? "; Secure" : "";
    c.header("set-cookie", `${SESSION_COOKIE}=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax${secure}`);
    c.header("cache-control", "no-store");
    return c.redirect("/sign-in", 303);
  });
}
