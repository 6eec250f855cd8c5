import type { Context, ExecutionContext } from "hono";
import { createMiddleware } from "hono/factory";
import { routePath } from "hono/route";
import { Hono } from "hono/tiny";
import type { z } from "zod";
import { type Refusal, refuse, type Verdict } from "../shared/verdict.ts";
import { CATALOGUE_PATH } from "../shared/wire/catalog.ts";
import { DIRECTIVE_PATH } from "../shared/wire/directive-poll.ts";
import { enrolmentRequest, sessionRequest } from "../shared/wire/enrolment.ts";
import { adminRoutes } from "./api/api-routes.ts";
import { referenceRoutes } from "./api/reference-page.tsx";
import { matchesTag } from "./catalogue/catalogue-source.ts";
import { recordOfflineReleases } from "./control/containment/release-code.ts";
import { dashboardRoutes } from "./dashboard/routes.tsx";
import type { Deps } from "./deps.ts";
import { answerPoll } from "./directive/long-poll-route.ts";
import {
  enrol,
  type Limited,
  openSession,
  readSignedBody,
  type Signed,
  verifyEnrolment,
  verifySession,
} from "./enrolment/enrol.ts";
import { pathOf } from "./heartbeat/admit-heartbeat.ts";
import { createHeartbeats, HEARTBEATS_PATH, type RecordRelease } from "./heartbeat/heartbeat-route.ts";
import { networkOf } from "./http/client-ip.ts";
import { closing } from "./http/graceful-shutdown.ts";
import { areHeadersLong, isSignatureLong } from "./http/header-limits.ts";
import { placeOf } from "./http/parse-json.ts";
import { noteRefusal, problem, problemOf, refusal, tooMany, unavailable } from "./http/problem-response.ts";
import { jsonBody, valid, validate } from "./http/validate.ts";
import { type Part, serves } from "./platform/node-role.ts";
import type { Env } from "./request-env.ts";

/**
 * The edge as a runtime serves it: {@link createApp}, with heartbeats handed on before a router sees them. The
 * framework's share of one was as large as that of its authentication.
 */
export function createFetch(
  deps: Deps,
): (request: Request, context?: ExecutionContext) => Response | Promise<Response> {
  const heartbeats = createHeartbeats(deps, releasesOf(deps));
  const takesHeartbeats = serves(deps.role, "ingest");
  const app = createApp(deps);
  const answer = (request: Request, context?: ExecutionContext): Response | Promise<Response> => {
    if (isSignatureLong(request.headers)) return headersTooLarge(request, deps);
    // Of a heartbeat no other header is looked at: adding their lengths up would cost more than they do.
    if (takesHeartbeats && isHeartbeat(request)) return heartbeats(request, context);
    if (areHeadersLong(request.headers)) return headersTooLarge(request, deps);
    const addressed = withAddress(request);
    if (!addressed) return refused(request, refuse("wire.malformed", "host"), deps);
    return app.fetch(addressed, {}, context);
  };
  return (request, context) =>
    deps.leaving?.hasBegun() ? closing(answer(request, context)) : answer(request, context);
}

/** The hot path knows nothing of the custody log. */
const releasesOf =
  (deps: Deps): RecordRelease =>
  (tenantId, assetId) =>
    recordOfflineReleases(tenantId, assetId, deps);

const isHeartbeat = ({ method, url }: Request) => method === "POST" && pathOf(url) === HEARTBEATS_PATH;

const PROBE = /^\/(?:healthz|readyz(?:\/admin)?)$/;

/**
 * Runtimes put the Host header into the address as it is, and Bun gives the path alone where there is none of use.
 * Nothing behind this has to ask whether an address can be read; undefined when it cannot. HTTP/1.0 has no Host, and
 * balancers still ask for their health in it.
 */
function withAddress(request: Request): Request | undefined {
  if (URL.canParse(request.url)) return request;
  const isProbe = PROBE.test(request.url) && !request.headers.has("host");
  return isProbe ? new Request(`http://localhost${request.url}`) : undefined;
}

const headersTooLarge = (request: Request, deps: Deps): Response =>
  refused(request, refuse("wire.headers-too-large"), deps);

/** Refused before there is a context. */
function refused(request: Request, refusal: Refusal, deps: Deps): Response {
  const requestId = deps.requestId();
  const path = pathOf(request.url).slice(0, 100);
  const { status, title, detail } = noteRefusal({ requestId, path }, refusal, deps);
  return problemOf(requestId, status, refusal.code, title, { more: detail });
}

/** What agents call, what admins call, what people see: the parts of it that this node's role serves. */
export function createApp(deps: Deps): Hono<Env> {
  const app = new Hono<Env>();
  if (serves(deps.role, "ingest")) {
    const heartbeats = createHeartbeats(deps, releasesOf(deps));
    app.post(HEARTBEATS_PATH, (c) => heartbeats(c.req.raw)); // before what observes: it observes itself
  }

  app.use(async function observe(c, next) {
    const startedAt = deps.clock();
    const requestId = deps.requestId();
    c.set("requestId", requestId);
    // Set before the answer is made: Hono makes it anew for a header that comes later.
    c.header("x-request-id", requestId);
    c.header("x-content-type-options", "nosniff");
    await next();
    if (!c.res.headers.has("x-request-id")) {
      c.header("x-request-id", requestId);
      c.header("x-content-type-options", "nosniff");
    }
    deps.instruments.answered(routePath(c, -1), c.res.status, deps.clock() - startedAt);
  });

  probeRoutes(app, deps);
  // Before the admin API, which answers every other path with a request to sign in.
  for (const [path, part] of AGENT_PATHS)
    if (!serves(deps.role, part)) app.all(path, (c) => notServed(c, part, deps));
  if (serves(deps.role, "ingest")) ingestRoutes(app, deps);
  if (serves(deps.role, "enrol")) enrolRoutes(app, deps);
  if (serves(deps.role, "admin")) {
    app.route("/v1", adminRoutes(deps));
    app.route("/", referenceRoutes(deps));
    app.route("/", dashboardRoutes(deps));
    app.notFound((c) => problem(c, 404, "edge.no-route", "There is nothing at this address"));
  } else app.notFound((c) => notServed(c, "admin", deps));
  app.onError((error, c) => {
    deps.log("error", "request.failed", { requestId: c.var.requestId, path: c.req.path, error });
    return unavailable(c);
  });
  return app;
}

const SESSION_PATH = "/v1/session";
const ENROL_PATH = "/v1/enroll";

/** Every path that agents use, and which part serves it. All other paths belong to admins. */
const AGENT_PATHS: readonly (readonly [path: string, part: Part])[] = [
  [HEARTBEATS_PATH, "ingest"],
  [SESSION_PATH, "ingest"],
  [DIRECTIVE_PATH, "ingest"],
  [CATALOGUE_PATH, "ingest"],
  [ENROL_PATH, "enrol"],
];

const notServed = (c: Context<Env>, part: Part, { role }: Deps): Response =>
  problem(
    c,
    404,
    "edge.not-served",
    `This node has LZ_ROLE=${role}. Send this request to a node with LZ_ROLE=${part}`,
  );

function enrolRoutes(app: Hono<Env>, deps: Deps): void {
  if (deps.enrolKey ?? deps.controlKey)
    postSigned(app, deps, {
      path: ENROL_PATH,
      verify: verifyEnrolment,
      body: enrolmentRequest,
      answer: (signed, deps, body) => enrol(signed, body, deps),
      success: 201,
    });
  else
    app.post(ENROL_PATH, (c) =>
      problem(c, 404, "edge.no-enrolment", "This node holds no enrol key: send enrolments to one that does"),
    );
}

function ingestRoutes(app: Hono<Env>, deps: Deps): void {
  postSigned(app, deps, {
    path: SESSION_PATH,
    verify: verifySession,
    body: sessionRequest,
    answer: (signed, deps, body) => openSession(signed, body, deps),
    success: 200,
  });

  const polls = deps.heldPolls;
  app.post(DIRECTIVE_PATH, async (c) => {
    if (polls) return answerPoll(c, polls, deps);
    return problem(c, 404, "edge.no-polls", "This node holds no requests: heartbeats bring directives");
  });

  // Public: it holds nothing of anybody's, is signed, and a cache in front may keep it.
  app.get(CATALOGUE_PATH, async (c) => {
    const { newest, isLoaded } = deps.catalogue;
    if (!newest) return problem(c, 404, "edge.no-catalogue", "This control plane serves no catalogue");
    // Who has it already costs nothing. Before the first was loaded every request may cost a fetch.
    const takeOne = () => deps.limits.catalogue.take(networkOf(deps.sourceIp(c.req.raw)));
    const early = isLoaded() ? undefined : takeOne();
    if (early && !early.allowed) return tooMany(c, deps.limits.catalogue, early, deps);
    const catalogue = await newest();
    const headers = { etag: catalogue.etag, "cache-control": "public, max-age=300" };
    if (matchesTag(c.req.header("if-none-match"), catalogue.etag)) return c.body(null, 304, headers);
    const taken = early ?? takeOne();
    if (!taken.allowed) return tooMany(c, deps.limits.catalogue, taken, deps);
    return c.text(catalogue.document, 200, headers);
  });
}

/**
 * Heartbeats need the queue, and the table only now and then. People, the API and enrolments need the table. A node is
 * asked only for what its role needs.
 */
function probeRoutes(app: Hono<Env>, deps: Deps): void {
  app.get("/healthz", (c) => c.json({ status: "ok" }));
  const takesHeartbeats = serves(deps.role, "ingest");
  const probe = (path: string, needs: "queue" | "table", more: () => object = () => ({})) =>
    app.get(path, async (c) => {
      c.header("cache-control", "no-store");
      if (deps.leaving?.hasBegun()) return unavailable(c, { node: "leaving" });
      const reached = await deps.readiness();
      // `fairQueues` is for `lz doctor`. Absent when nothing was refused, so that the answer stays short.
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

/** Revoked, used up, too many: said only to those who have proven who they are. */
const AUTHENTIC = [403, 409, 429];

/**
 * Both cost a public-key signature and a read before anybody is known: an address may be refused only so often. What
 * an authentic one is told takes nothing, so that any number of hosts may stand behind one address.
 */
function limitRefused(deps: Deps) {
  return createMiddleware<Env>(async function limitRefused(c, next) {
    const { address } = deps.limits;
    const network = networkOf(deps.sourceIp(c.req.raw));
    const taken = address.take(network);
    if (!taken.allowed) return tooMany(c, address, taken, deps);
    await next();
    if (c.res.ok || AUTHENTIC.includes(c.res.status)) address.giveBack(network);
  });
}

type SignedRoute<Known extends Signed, Body extends z.ZodType> = {
  path: string;
  /** Who signed the request. Nothing of its body is read before. */
  verify: (request: Request, deps: Deps) => Promise<Verdict<Known>>;
  body: Body;
  answer: (known: Known, deps: Deps, body: z.infer<Body>) => Promise<Verdict<object> | Limited>;
  success: 200 | 201;
};

/** Adds a route for what a device key signs: limit, signature, digest, schema, answer, in this order. */
function postSigned<Known extends Signed, Body extends z.ZodType>(
  app: Hono<Env>,
  deps: Deps,
  { path, verify, body, answer, success }: SignedRoute<Known, Body>,
): void {
  const signers = new WeakMap<Request, Known>();
  const read = async ({ req }: Context<Env>): Promise<Verdict<Uint8Array<ArrayBuffer>>> => {
    const known = await verify(req.raw, deps);
    if (!known.ok) return known;
    signers.set(req.raw, known.value);
    return readSignedBody(req.raw, known.value);
  };
  app.use(path, limitRefused(deps));
  app.post(
    path,
    jsonBody(read, deps),
    validate("json", body, (c, error) => refusal(c, refuse("wire.malformed", placeOf(error)), deps)),
    async (c) => {
      const answered = await answer(signers.get(c.req.raw)!, deps, valid(c, "json", body));
      return answerDevice(c, answered, success, deps);
    },
  );
}

/** Responses that contain keys must not be cached. */
function answerDevice<T extends object>(
  c: Context<Env>,
  verdict: Verdict<T> | Limited,
  status: 200 | 201,
  deps: Deps,
) {
  if ("taken" in verdict) return tooMany(c, verdict.limit, verdict.taken, deps);
  if (!verdict.ok) return refusal(c, verdict, deps);
  c.header("cache-control", "no-store");
  return c.json(verdict.value as object, status);
}
