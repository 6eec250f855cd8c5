import { type Context, Hono } from "hono";
import { createMiddleware } from "hono/factory";
import { routePath } from "hono/route";
import type { Verdict } from "../shared/refusal.ts";
import { CATALOGUE_PATH } from "../shared/wire/catalog.ts";
import { referenceRoutes } from "./admin/reference.tsx";
import { recordOfflineReleases } from "./admin/release-code.ts";
import { adminRoutes } from "./admin/routes.ts";
import { type Env, problem, refusal, tooMany, unavailable } from "./answer.ts";
import { matchesTag } from "./catalog.ts";
import { dashboardRoutes } from "./dashboard/routes.tsx";
import type { Deps } from "./deps.ts";
import { enrol, openSession } from "./enrol.ts";
import { type Admitted, admit, checkIsolation } from "./ingest.ts";
import { rateLimitHeader } from "./rate-limit.ts";

/** The whole edge: what agents call, what admins call, what people see. */
export function createApp(deps: Deps): Hono<Env> {
  const app = new Hono<Env>();

  app.use(async function observe(c, next) {
    const startedAt = deps.clock();
    const requestId = hex(deps.random(8));
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

  app.post("/v1/heartbeats", async (c) => {
    const span = deps.instruments.startIngest(c.req.raw.headers.get("traceparent"));
    try {
      const admitted = await admit(c.req.raw, deps); // cheap checks first, the signature after
      if (!admitted.ok) {
        span.end({ refused: admitted.code });
        return refusal(c, admitted, deps);
      }
      const answer = await takeIn(c, admitted.value, span.traceparent, deps);
      span.end({ tenantId: admitted.value.tenantId });
      return answer;
    } catch (fault) {
      span.end({ fault });
      throw fault;
    }
  });
  for (const path of ["/v1/session", "/v1/enroll"]) app.use(path, limitEnrolments(deps));
  app.post("/v1/session", async (c) => answerDevice(c, await openSession(c.req.raw, deps), 200, deps));
  app.post("/v1/enroll", async (c) => answerDevice(c, await enrol(c.req.raw, deps), 201, deps));

  // Public: it holds nothing of anybody's, is signed, and a cache in front may keep it.
  app.get(CATALOGUE_PATH, async (c) => {
    const catalogue = await deps.catalogue();
    if (!catalogue) return problem(c, 404, "edge.no-catalogue", "This control plane serves no catalogue");
    const headers = { etag: catalogue.etag, "cache-control": "public, max-age=300" };
    if (matchesTag(c.req.header("if-none-match"), catalogue.etag)) return c.body(null, 304, headers);
    const taken = deps.limits.enrolment.take(deps.sourceIp(c.req.raw));
    if (!taken.allowed) return tooMany(c, deps.limits.enrolment, taken, deps);
    return c.text(catalogue.document, 200, headers);
  });

  app.get("/healthz", (c) => c.json({ status: "ok" }));
  app.get("/readyz", async (c) => {
    await deps.reachUpstream();
    return c.json({ status: "ready" });
  });

  app.route("/v1", adminRoutes(deps));
  app.route("/", referenceRoutes(deps));
  app.route("/", dashboardRoutes(deps));

  app.notFound((c) => problem(c, 404, "edge.no-route", "There is nothing at this address"));
  app.onError((error, c) => {
    deps.log("error", "request.failed", { requestId: c.var.requestId, path: c.req.path, error });
    return unavailable(c);
  });
  return app;
}

/** An authentic heartbeat: within its quotas, not of a revoked asset, on the queue, answered. */
async function takeIn(c: Context<Env>, admitted: Admitted, trace: string | undefined, deps: Deps) {
  const { tenantId, entry } = admitted;
  const device = deps.limits.device.take(entry.assetId);
  if (!device.allowed) return tooMany(c, deps.limits.device, device, deps);
  const tenant = deps.limits.tenant.take(tenantId);
  if (!tenant.allowed) return tooMany(c, deps.limits.tenant, tenant, deps);
  const answer = await checkIsolation(admitted, deps);
  if (!answer.ok) return refusal(c, answer, deps);
  await deps.enqueue(tenantId, trace === undefined ? entry : { ...entry, trace }); // 202 only once the queue has it
  await recordOfflineReleases(tenantId, entry.assetId, deps);
  c.header("ratelimit", rateLimitHeader(deps.limits.device, device));
  return c.json(answer.value, 202);
}

/** Both cost a public-key signature and a read: an address gets only so many, before anything is looked at. */
function limitEnrolments(deps: Deps) {
  return createMiddleware<Env>(async function limitEnrolments(c, next) {
    const taken = deps.limits.enrolment.take(deps.sourceIp(c.req.raw));
    if (!taken.allowed) return tooMany(c, deps.limits.enrolment, taken, deps);
    await next();
  });
}

/** Answers that carry keys are nobody's to store. */
function answerDevice<T extends object>(c: Context<Env>, verdict: Verdict<T>, status: 200 | 201, deps: Deps) {
  if (!verdict.ok) return refusal(c, verdict, deps);
  c.header("cache-control", "no-store");
  return c.json(verdict.value as object, status);
}

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

function hex(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += HEX[byte];
  return text;
}
