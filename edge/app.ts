import type { Context, ExecutionContext } from "hono";
import { requestId } from "hono/request-id";
import { routePath } from "hono/route";
import { secureHeaders } from "hono/secure-headers";
import { Hono } from "hono/tiny";
import { type Refusal, refuse } from "../shared/verdict.ts";
import { CATALOGUE_PATH } from "../shared/wire/catalog.ts";
import { DIRECTIVE_PATH } from "../shared/wire/directive-poll.ts";
import { adminRoutes } from "./api/api-routes.ts";
import { referenceRoutes } from "./api/reference-page.tsx";
import { serveCatalogue } from "./catalogue/catalogue-route.ts";
import { recordOfflineReleases } from "./control/containment/release-code.ts";
import { dashboardRoutes } from "./dashboard/routes.tsx";
import type { Deps } from "./deps.ts";
import { respondToPoll } from "./directive/long-poll-route.ts";
import { ENROL_PATH, enrolRoute, SESSION_PATH, sessionRoute } from "./enrolment/device-routes.ts";
import { pathOf } from "./heartbeat/admit-heartbeat.ts";
import { createHeartbeats, HEARTBEATS_PATH, type RecordRelease } from "./heartbeat/heartbeat-route.ts";
import { closing } from "./http/graceful-shutdown.ts";
import { areHeadersLong, isSignatureLong } from "./http/header-limits.ts";
import { edgeProblem, noteRefusal, problemOf, unavailable } from "./http/problem-response.ts";
import { type Part, serves } from "./platform/node-role.ts";
import type { Env } from "./request-env.ts";

/**
 * The edge as a function from Request to Response. Heartbeats bypass Hono, because routing them through Hono
 * cost as much CPU as their authentication (docs/decisions/0014-heartbeats-bypass-the-router.md). {@link
 * createApp} handles all other requests.
 */
export function createFetch(
  deps: Deps,
): (request: Request, context?: ExecutionContext) => Response | Promise<Response> {
  const heartbeats = createHeartbeats(deps, releasesOf(deps));
  const takesHeartbeats = serves(deps.role, "ingest");
  const app = createApp(deps);
  const respond = (request: Request, context?: ExecutionContext): Response | Promise<Response> => {
    if (isSignatureLong(request.headers)) return refused(request, refuse("wire.headers-too-large"), deps);
    // For a heartbeat, check only the length of the signature headers. Measuring all headers would cost more
    // CPU than parsing long headers does.
    if (takesHeartbeats && isHeartbeat(request)) return heartbeats(request, context);
    if (areHeadersLong(request.headers)) return refused(request, refuse("wire.headers-too-large"), deps);
    const valid = withValidUrl(request);
    if (!valid)
      return refused(request, refuse("wire.malformed", "the Host header is missing or invalid"), deps);
    return app.fetch(valid, {}, context);
  };
  return (request, context) =>
    deps.shutdown?.hasBegun() ? closing(respond(request, context)) : respond(request, context);
}

/**
 * Adds custody records for hosts that were released with a release code. The heartbeat route gets this
 * function as a parameter, because it does not import the custody log.
 */
const releasesOf =
  (deps: Deps): RecordRelease =>
  (tenantId, assetId) =>
    recordOfflineReleases(tenantId, assetId, deps);

const isHeartbeat = ({ method, url }: Request) => method === "POST" && pathOf(url) === HEARTBEATS_PATH;

const PROBE = /^\/(?:healthz|readyz(?:\/admin)?)$/;

/**
 * Returns the request if its URL is valid, otherwise undefined. Runtimes build the URL from the Host header
 * without checking it. If the header is missing or invalid, Bun passes only the path. A health probe without
 * a Host header gets a default host, because load balancers send probes with HTTP/1.0.
 */
function withValidUrl(request: Request): Request | undefined {
  if (URL.canParse(request.url)) return request;
  const isProbe = PROBE.test(request.url) && !request.headers.has("host");
  return isProbe ? new Request(`http://localhost${request.url}`) : undefined;
}

/** Response to a request that is refused before Hono handles it. */
function refused(request: Request, refusal: Refusal, deps: Deps): Response {
  const requestId = deps.requestId();
  const path = pathOf(request.url).slice(0, 100);
  const { status, title, detail } = noteRefusal({ requestId, path }, refusal, deps);
  return problemOf(requestId, status, refusal.code, title, { more: detail });
}

/** Builds the routes that this node's role serves: for agents, for the admin API and for the dashboard. */
export function createApp(deps: Deps): Hono<Env> {
  const app = new Hono<Env>();
  if (serves(deps.role, "ingest")) {
    const heartbeats = createHeartbeats(deps, releasesOf(deps));
    // Registered before `observe`, because the heartbeat route records its own metrics.
    app.post(HEARTBEATS_PATH, (c) => heartbeats(c.req.raw));
  }

  // Without `headerName` the middleware ignores an id that a client sends.
  app.use(requestId({ headerName: "", generator: deps.requestId }), SECURITY_HEADERS);
  app.use(async function observe(c, next) {
    const startedAt = deps.clock();
    await next();
    c.res.headers.set("x-request-id", c.var.requestId);
    deps.instruments.answered(routePath(c, -1), c.res.status, deps.clock() - startedAt);
  });

  probeRoutes(app, deps);
  // Register these routes before the admin API, which responds to every other path with 401.
  for (const [path, part] of AGENT_PATHS)
    if (!serves(deps.role, part)) app.all(path, (c) => notServed(c, part, deps));
  if (serves(deps.role, "ingest")) ingestRoutes(app, deps);
  if (serves(deps.role, "enrol")) enrolRoute(app, deps);
  if (serves(deps.role, "admin")) {
    app.route("/v1", adminRoutes(deps));
    app.route("/", referenceRoutes(deps));
    app.route("/", dashboardRoutes(deps));
    app.notFound((c) => edgeProblem(c, "edge.no-route"));
  } else app.notFound((c) => notServed(c, "admin", deps));
  app.onError((error, c) => {
    deps.log("error", "request.failed", { requestId: c.var.requestId, path: c.req.path, error });
    return unavailable(c);
  });
  return app;
}

/**
 * Default security headers. Pages and downloads can set stricter headers. HSTS is disabled, because the
 * operator configures TLS at the proxy. The other disabled headers only affect obsolete browsers.
 */
const SECURITY_HEADERS = secureHeaders({
  overwrite: false,
  strictTransportSecurity: false,
  originAgentCluster: false,
  xDnsPrefetchControl: false,
  xDownloadOptions: false,
  xPermittedCrossDomainPolicies: false,
  xXssProtection: false,
});

/**
 * URL paths that agents request, each with the route group (`Part`) that serves it. All other paths belong to
 * the `admin` group.
 */
const AGENT_PATHS: readonly (readonly [path: string, part: Part])[] = [
  [HEARTBEATS_PATH, "ingest"],
  [SESSION_PATH, "ingest"],
  [DIRECTIVE_PATH, "ingest"],
  [CATALOGUE_PATH, "ingest"],
  [ENROL_PATH, "enrol"],
];

const notServed = (c: Context<Env>, part: Part, { role }: Deps): Response =>
  edgeProblem(
    c,
    "edge.not-served",
    `This node has LZ_ROLE=${role}. Send this request to a node with LZ_ROLE=${part}`,
  );

function ingestRoutes(app: Hono<Env>, deps: Deps): void {
  sessionRoute(app, deps);
  const polls = deps.longPolls;
  app.post(DIRECTIVE_PATH, async (c) => {
    if (polls) return respondToPoll(c, polls, deps);
    return edgeProblem(c, "edge.no-polls");
  });
  app.get(CATALOGUE_PATH, (c) => serveCatalogue(c, deps));
}

/**
 * Adds the liveness and readiness routes. A node that accepts heartbeats is ready if the queue responds,
 * because it can work without the table for a while. Admin and enrol nodes are ready if the table responds.
 */
function probeRoutes(app: Hono<Env>, deps: Deps): void {
  app.get("/healthz", (c) => c.json({ status: "ok" }));
  const takesHeartbeats = serves(deps.role, "ingest");
  const probe = (path: string, needs: "queue" | "table", more: () => object = () => ({})) =>
    app.get(path, async (c) => {
      c.header("cache-control", "no-store");
      if (deps.shutdown?.hasBegun()) return unavailable(c, { node: "leaving" });
      const reached = await deps.readiness();
      // `lz doctor` reads `fairQueues`. The member is absent unless the queue has refused a message group.
      const areGroupsRefused = takesHeartbeats && deps.areMessageGroupsRefused();
      const credentials = deps.credentialProblem();
      const found = {
        ...reached,
        ...more(),
        ...(credentials && { credentials }),
        ...(areGroupsRefused && { fairQueues: "refused" }),
      };
      return reached[needs] === "here" ? c.json({ status: "ready", ...found }) : unavailable(c, found);
    });
  probe("/readyz", takesHeartbeats ? "queue" : "table");
  if (serves(deps.role, "admin"))
    probe("/readyz/admin", "table", () => ({ signInKeys: deps.admin.keysState() }));
}
