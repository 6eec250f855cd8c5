import type { Context } from "hono";
import { createMiddleware } from "hono/factory";
import { Hono } from "hono/tiny";
import { z } from "zod";
import { assetId, employeeId, slug } from "../../shared/ids.ts";
import { type Refusal, refuse } from "../../shared/verdict.ts";
import { authenticate, SESSION_COOKIE } from "../auth/authenticate.ts";
import type { Admin } from "../auth/permissions.ts";
import { CursorFault } from "../control/cursor.ts";
import { incidentName } from "../control/incidents/incident-name.ts";
import { siteOrigin } from "../http/public-origin.ts";
import { valid, validate } from "../http/validate.ts";
import type { Env } from "../request-env.ts";
import { approvalsPage } from "./approvals/approvals-page.tsx";
import { assetQuery, assetsPage } from "./assets/asset-list-page.tsx";
import { assetPage } from "./assets/asset-page.tsx";
import { unavailablePage } from "./components/error-page.tsx";
import { noticeOf } from "./components/notice-texts.ts";
import { custodyPage } from "./custody/custody-page.tsx";
import { custodyQuery } from "./custody/custody-search.ts";
import type { DashboardDeps } from "./deps.ts";
import { employeesQuery } from "./employees/employee-data.ts";
import { employeePage } from "./employees/employee-page.tsx";
import { employeesPage } from "./employees/employees-page.tsx";
import { enrolmentPage } from "./enrolment/enrolment-page.tsx";
import { exportRoutes } from "./exports/export-routes.ts";
import { incidentsPage } from "./incidents/incident-list-page.tsx";
import { incidentPage } from "./incidents/incident-page.tsx";
import { incidentQuery } from "./incidents/incident-search.ts";
import { DELIVERY_STATES } from "./integrations/delivery-table.tsx";
import { integrationsPage, mayIntegrate } from "./integrations/integrations-page.tsx";
import { webhookPage } from "./integrations/webhook-page.tsx";
import { inventoryPage } from "./inventory/inventory-page.tsx";
import { type FleetReads, inventoryQuery } from "./inventory/inventory-query.ts";
import { modelPage, modelQuery } from "./inventory/model-page.tsx";
import { createFleets, type Fleets } from "./overview/fleet-cache.ts";
import { overviewPage } from "./overview/overview-page.tsx";
import { policyPage } from "./policy/policy-page.tsx";
import { reportPage } from "./report/report-page.tsx";
import { periodOf, reportQuery } from "./report/report-period.ts";
import { actionRoutes } from "./routing/action-routes.ts";
import { approvalRoutes } from "./routing/approval-routes.ts";
import { backgroundOf, numbersFor } from "./routing/background-work.ts";
import {
  failureOf,
  type Markup,
  sendFailure,
  sendPage,
  sendUnauthenticated,
} from "./routing/render-response.ts";
import { settingsRoutes } from "./routing/settings-routes.ts";
import { webhookRoutes } from "./routing/webhook-routes.ts";
import {
  forgetSession,
  mayStartHandshake,
  restartHandshake,
  startHandshake,
  takeHandshake,
  withoutHandshake,
} from "./session/clerk-handshake.ts";
import { isSameSite } from "./session/csrf.ts";
import { returnPath, signInAddress } from "./session/return-path.ts";
import { refreshState } from "./session/session-refresh.ts";
import { signInPage } from "./session/sign-in-page.tsx";
import { settingsPage } from "./settings/settings-page.tsx";
import { staticRoutes } from "./static/static-files.ts";

/**
 * The pages of the dashboard. They are rendered on the server and work without the browser script. Reading
 * needs a session, and shows only the data of the session's organisation. Changes also need a role, a CSRF
 * token and a same-origin request.
 */
export function dashboardRoutes(deps: DashboardDeps): Hono<Env> {
  const app = new Hono<Env>();
  const fleets = createFleets(deps);
  const readsOf = (c: Context<Env>) => ({
    fleetOf: (tenantId: string) => fleets.of(tenantId, backgroundOf(c)),
    holdingsOf: (tenantId: string) => fleets.holdingsOf(tenantId, backgroundOf(c)),
  });
  app.onError((error, c) => {
    if (error instanceof CursorFault)
      return sendFailure(c, refuse("admin.invalid", "cursor: it is invalid or from a different list"), deps);
    deps.log("error", "request.failed", { requestId: c.var.requestId, path: c.req.path, error });
    c.header("retry-after", "5");
    return sendPage(c, unavailablePage(failureOf(c, deps)), 503);
  });
  app.route("/", staticRoutes());
  sessionRoute(app, deps);
  signInRoutes(app, deps);

  const page = pageRoute(app, deps);
  fleetPages(page, app, deps, fleets, readsOf);
  configurationPages(page, deps, fleets);
  exportRoutes(app, deps, readsOf);
  actionRoutes(app, deps);
  settingsRoutes(app, deps, fleets);
  approvalRoutes(app, deps);
  webhookRoutes(app, deps);
  app.get("*", (c) => {
    const isBrowser = (c.req.header("accept") ?? "").includes("text/html") && !c.req.path.startsWith("/v1/");
    return isBrowser ? sendFailure(c, refuse("admin.not-found"), deps) : c.notFound();
  });
  return app;
}

type PageRoute = ReturnType<typeof pageRoute>;
type ReadsOf = (c: Context<Env>) => FleetReads;

/** Adds pages that show the fleet: overview, incidents, hosts, inventory, employees, custody log, report. */
function fleetPages(
  page: PageRoute,
  app: Hono<Env>,
  deps: DashboardDeps,
  fleets: Fleets,
  readsOf: ReadsOf,
): void {
  page("/", {}, (c, admin) => overviewPage(admin, deps, numbersFor(c, fleets)));
  page("/incidents", { query: incidentQuery }, (c, admin, { query }) =>
    incidentsPage(admin, query, deps, {
      notice: noticeOf(c.req.query("done")),
      reads: {
        fleetOf: readsOf(c).fleetOf,
        numbersOf: numbersFor(c, fleets),
        resolvedOf: (tenantId) => fleets.resolvedOf(tenantId, backgroundOf(c)),
      },
    }),
  );
  // Forms are posted to this address. If the user reloads the response, the browser is redirected to the
  // list.
  app.get("/incidents/acknowledge", (c) => c.redirect("/incidents", 302));
  page("/incidents/:id", { params: z.object({ id: incidentName }) }, async (c, admin, { params }) => {
    const notice = noticeOf(c.req.query("done"));
    return (await incidentPage(admin, params.id, deps, { notice })) ?? refuse("admin.not-found");
  });
  page("/assets", { query: assetQuery }, (c, admin, { query }) =>
    assetsPage(admin, query, deps, readsOf(c).fleetOf),
  );
  page(
    "/assets/:id",
    { params: z.object({ id: assetId }), query: z.object({ older: z.string().optional() }) },
    async (c, admin, { params, query }) => {
      const notice = noticeOf(c.req.query("done"));
      const shown = await assetPage(admin, params.id, deps, { notice, older: query.older });
      return shown ?? refuse("admin.not-found");
    },
  );
  page("/inventory", { query: inventoryQuery }, (c, admin, { query }) =>
    inventoryPage(admin, query, deps, readsOf(c)),
  );
  page("/inventory/model", { query: modelQuery, invalidQuery: "admin.not-found" }, (c, admin, { query }) =>
    modelPage(admin, query, deps, readsOf(c)),
  );
  page("/employees", { query: employeesQuery }, (c, admin, { query }) =>
    employeesPage(admin, query, deps, readsOf(c).fleetOf),
  );
  page(
    "/employees/:id",
    { params: z.object({ id: employeeId }), query: z.object({ cursor: z.string().optional() }) },
    (_c, admin, { params, query }) => employeePage(admin, params.id, query.cursor, deps),
  );
  page("/custody", { query: custodyQuery }, (c, admin, { query }) =>
    custodyPage(admin, query, deps, readsOf(c).fleetOf),
  );
  page("/report", { query: reportQuery }, async (_c, admin, { query }) => {
    const period = periodOf(query, deps.clock());
    return period ? reportPage(admin, period, deps) : refuse("admin.invalid", "period");
  });
}

/** Adds pages that configure the organisation: policy, settings, approvals, integrations, enrolment. */
function configurationPages(page: PageRoute, deps: DashboardDeps, fleets: Fleets): void {
  page("/policy", {}, (c, admin) =>
    policyPage(admin, deps, numbersFor(c, fleets), { notice: noticeOf(c.req.query("done")) }),
  );
  page("/settings", {}, (c, admin) => settingsPage(admin, deps, { notice: noticeOf(c.req.query("done")) }));
  page("/approvals", {}, (c, admin) => approvalsPage(admin, deps, { notice: noticeOf(c.req.query("done")) }));
  page("/integrations", {}, (c, admin) => {
    const origin = siteOrigin(c.req.raw, deps);
    return integrationsPage(admin, deps, { origin, notice: noticeOf(c.req.query("done")) });
  });
  page(
    "/integrations/:id",
    { right: mayIntegrate, params: z.object({ id: slug }), query: webhookQuery },
    async (c, admin, { params, query }) => {
      const notice = noticeOf(c.req.query("done"));
      return (await webhookPage(admin, params.id, query, deps, { notice })) ?? refuse("admin.not-found");
    },
  );
  page("/enrol", {}, (c, admin) => {
    const origin = siteOrigin(c.req.raw, deps);
    return enrolmentPage(admin, deps, { origin, notice: noticeOf(c.req.query("done")) });
  });
}

/** An unknown delivery state is ignored: the page then lists all deliveries. */
const webhookQuery = z.object({
  state: z.enum(DELIVERY_STATES).optional().catch(undefined),
  cursor: z.string().optional(),
});

type PageResult = Markup | Refusal;
const isRefusal = (result: PageResult): result is Refusal => (result as { ok?: unknown }).ok === false;

type Of<Schema> = Schema extends z.ZodType ? z.infer<Schema> : undefined;

/** Permission and input schemas of a page. An invalid path parameter always results in 404. */
type PageInput<Params, Query> = {
  right?: (admin: Admin) => boolean;
  params?: Params;
  /** Unknown query parameters are ignored. A repeated parameter is invalid. */
  query?: Query;
  /** Error code for an invalid query. Default: `admin.invalid`. */
  invalidQuery?: "admin.not-found";
};

const NOTHING = z.object({});

/**
 * Adds a page that needs a session. Without a session, browsers are redirected to sign-in (302), and polls of
 * the browser script get 401.
 */
function pageRoute(app: Hono<Env>, deps: DashboardDeps) {
  const signedIn = createMiddleware<Env>(async function signedIn(c, next) {
    // This check runs before authentication. After the user switches the organisation, the old cookie still
    // holds a session of the previous organisation.
    if (await takeHandshake(c, deps)) return c.redirect(withoutHandshake(c), 302);
    const admin = await authenticate(c.req.raw, deps);
    if (!admin.ok) return sendUnauthenticated(c, admin, deps);
    c.set("admin", admin.value);
    await next();
  });
  return <Params extends z.ZodType | undefined, Query extends z.ZodType | undefined>(
    path: string,
    { right = () => true, params, query, invalidQuery }: PageInput<Params, Query>,
    show: (
      c: Context<Env>,
      admin: Admin,
      input: { params: Of<Params>; query: Of<Query> },
    ) => Promise<PageResult>,
  ) => {
    const mayView = createMiddleware<Env>(async function mayView(c, next) {
      return right(c.var.admin) ? await next() : sendFailure(c, refuse("admin.forbidden"), deps);
    });
    const invalid = invalidQuery ? refuse(invalidQuery) : refuse("admin.invalid", "query");
    app.get(
      path,
      signedIn,
      mayView,
      validate("param", params ?? NOTHING, (c) => sendFailure(c, refuse("admin.not-found"), deps)),
      validate("query", query ?? NOTHING, (c) => sendFailure(c, invalid, deps)),
      async (c) => {
        const input = {
          params: valid(c, "param", params ?? NOTHING) as Of<Params>,
          query: valid(c, "query", query ?? NOTHING) as Of<Query>,
        };
        const result = await show(c, c.var.admin, input);
        return isRefusal(result) ? sendFailure(c, result, deps) : sendPage(c, result);
      },
    );
  };
}

/**
 * Adds the page that the browser script opens in a hidden frame. The page renews the session with a
 * handshake, and updates the cookie with the expiry.
 */
function sessionRoute(app: Hono<Env>, deps: DashboardDeps): void {
  const { handshakeUrl } = deps.admin;
  if (handshakeUrl === undefined) return;
  // The frame redirects to the provider and back, so pages can embed only this site and the provider.
  const frames = `frame-src 'self' ${new URL(handshakeUrl).origin}`;
  app.use(async function frameSource(c, next) {
    await next();
    const policy = c.res.headers.get("content-security-policy");
    if (policy?.includes("script-src")) c.header("content-security-policy", `${policy}; ${frames}`);
  });
  app.get("/session", async (c) => {
    const taken = await takeHandshake(c, deps);
    if (!taken && refreshState(c.req.raw, deps) === undefined) return startHandshake(c, "/session", deps);
    return c.body(null, taken ? 200 : 401, {
      "cache-control": "no-store",
      "content-security-policy": "default-src 'none'; frame-ancestors 'self'",
      "content-type": "text/html; charset=utf-8",
    });
  });
}

function signInRoutes(app: Hono<Env>, deps: DashboardDeps): void {
  app.get("/sign-in", async (c) => {
    const back = returnPath(c.req.query("return"));
    const admin = await authenticate(c.req.raw, deps);
    const switching = c.req.query("switch") !== undefined;
    const { handshakeUrl } = deps.admin;
    // The user returns from the provider's sign-in page. This site has no session yet, or still has one of
    // another organisation.
    if (handshakeUrl !== undefined && c.req.query("back") !== undefined)
      return restartHandshake(c, back, deps);
    const isSignedOut = !admin.ok && admin.code === "admin.unauthenticated";
    if (isSignedOut && mayStartHandshake(c.req.raw, deps)) return startHandshake(c, back, deps);
    if (admin.ok && !switching) return c.redirect(back, 302);
    const landing = `/sign-in?${new URLSearchParams({ back: "", return: back })}`;
    const address = signInAddress(c.req.raw, handshakeUrl === undefined ? back : landing, deps);
    const ended = (c.req.header("cookie") ?? "").includes(`${SESSION_COOKIE}=`);
    const formLost = c.req.query("sent") !== undefined;
    const hasNone = !admin.ok && admin.code === "admin.no-organisation";
    const user = hasNone ? "no-organisation" : admin.ok ? "switching" : "signed-out";
    return sendPage(c, signInPage({ address, ended, formLost, user, nowMs: deps.clock() }));
  });
  app.post("/sign-out", async (c) => {
    if (!isSameSite(c.req.raw, deps)) return sendFailure(c, refuse("admin.cross-site"), deps);
    forgetSession(c, deps);
    c.header("cache-control", "no-store");
    return c.redirect("/sign-in", 303);
  });
}
