import { zValidator } from "@hono/zod-validator";
import { type Context, Hono } from "hono";
import { createMiddleware } from "hono/factory";
import { ulid } from "ulid";
import { z } from "zod";
import { assetId, employeeId } from "../../shared/ids.ts";
import { refuse, type Verdict } from "../../shared/refusal.ts";
import { signEnrolmentToken } from "../../shared/wire/enrolment-token.ts";
import { mode } from "../../shared/wire/heartbeat.ts";
import { text } from "../../shared/wire/text.ts";
import { type Env, refusal } from "../answer.ts";
import { readBody } from "../body.ts";
import type { Deps } from "../deps.ts";
import { parseJson } from "../json.ts";
import { authenticate, mayAdminister } from "./authenticate.ts";
import { type ContainmentChange, changeContainment } from "./change-containment.ts";
import {
  CursorFault,
  exportCustody,
  listAssets,
  listCustody,
  listEmployeeAssets,
  listIncidents,
  listTimeline,
  readAsset,
} from "./read.ts";

export const JUSTIFICATION_CHARACTERS_MAX = 1000;
export const justification = text(JUSTIFICATION_CHARACTERS_MAX).refine((value) => value.trim().length >= 3);

const isolateBody = z.strictObject({ mode: mode.default("observe"), justification });
const releaseBody = z.strictObject({ justification });
const tokenBody = z.strictObject({
  uses: z.int().min(1).max(100_000).default(1),
  hours: z
    .int()
    .min(1)
    .max(24 * 90)
    .default(24),
});
const idempotency = z.string().regex(/^[A-Za-z0-9_-]{8,100}$/);

const BODY_BYTES_MAX = 8 * 1024;
const pageQuery = z.object({
  limit: z.coerce.number().int().min(1).max(200).default(50),
  cursor: z.string().max(2000).optional(),
});
const incidentQuery = pageQuery.extend({ risk: z.enum(["WARNING", "CRITICAL"]).default("CRITICAL") });

const pageOf = ({ limit, cursor }: z.infer<typeof pageQuery>) =>
  cursor === undefined ? { limit } : { limit, from: cursor };

const validQuery = <Schema extends z.ZodType>(schema: Schema, deps: Deps) =>
  zValidator("query", schema, (result, c) => {
    if (!result.success) return refusal(c as unknown as Context<Env>, refuse("admin.invalid", "query"), deps);
  });

/** The admin API, mounted under `/v1`. Every answer is of the token's own tenant. */
export function adminRoutes(deps: Deps): Hono<Env> {
  const app = new Hono<Env>();
  app.use(requireAdmin(deps));
  const invalidCursor = (error: Error, c: Context<Env>) => {
    if (error instanceof CursorFault) return refusal(c, refuse("admin.invalid", "cursor"), deps);
    throw error;
  };
  app.onError(invalidCursor);

  app.get("/me", (c) => c.json(c.var.admin));
  app.get("/assets", validQuery(pageQuery, deps), async (c) =>
    c.json(await listAssets(deps, c.var.admin.tenantId, pageOf(c.req.valid("query")))),
  );
  app.get("/employees/:id/assets", validQuery(pageQuery, deps), async (c) => {
    const id = employeeId.safeParse(c.req.param("id"));
    if (!id.success) return refusal(c, refuse("admin.not-found"), deps);
    return c.json(
      await listEmployeeAssets(deps, c.var.admin.tenantId, id.data, pageOf(c.req.valid("query"))),
    );
  });
  app.get("/incidents", validQuery(incidentQuery, deps), async (c) => {
    const { risk, ...page } = c.req.valid("query");
    return c.json(await listIncidents(deps, c.var.admin.tenantId, { risk, ...pageOf(page) }));
  });
  app.get("/custody", async (c) => c.json(await exportCustody(deps, c.var.admin.tenantId)));
  assetRoutes(app, deps);
  app.post("/enrolment-tokens", async (c) => {
    if (!mayAdminister(c.var.admin)) return refusal(c, refuse("admin.forbidden"), deps);
    if (!deps.controlKey) return refusal(c, refuse("admin.read-only"), deps);
    const body = await readJson(c.req.raw, tokenBody);
    if (!body.ok) return refusal(c, body, deps);
    const jti = ulid(deps.clock(), () => deps.random(1)[0]! / 256);
    const claims = { tenant: c.var.admin.tenantId, jti, uses: body.value.uses };
    const expiresAtSeconds = Math.floor(deps.clock() / 1000) + body.value.hours * 3600;
    const token = await signEnrolmentToken(deps.controlKey, claims, expiresAtSeconds);
    return c.json(
      { token, expiresAt: new Date(expiresAtSeconds * 1000).toISOString(), uses: claims.uses },
      201,
    );
  });
  return app;
}

function assetRoutes(app: Hono<Env>, deps: Deps): void {
  /** An asset of another tenant, one that does not exist and an id that cannot be: all the same 404. */
  const known = async (c: Context<Env>) => {
    const id = assetId.safeParse(c.req.param("id"));
    return id.success ? await readAsset(deps, c.var.admin.tenantId, id.data) : undefined;
  };
  app.get("/assets/:id", async (c) => {
    const asset = await known(c);
    return asset ? c.json(asset) : refusal(c, refuse("admin.not-found"), deps);
  });
  app.get("/assets/:id/timeline", validQuery(pageQuery, deps), async (c) => {
    const asset = await known(c);
    if (!asset) return refusal(c, refuse("admin.not-found"), deps);
    const page = pageOf(c.req.valid("query"));
    return c.json(await listTimeline(deps, c.var.admin.tenantId, asset.assetId, page));
  });
  app.get("/assets/:id/custody", validQuery(pageQuery, deps), async (c) => {
    const asset = await known(c);
    if (!asset) return refusal(c, refuse("admin.not-found"), deps);
    const page = pageOf(c.req.valid("query"));
    return c.json(await listCustody(deps, c.var.admin.tenantId, asset.assetId, page));
  });
  for (const action of ["isolate", "release"] as const) {
    app.post(`/assets/:id/${action}`, async (c) => {
      const body = await readJson(c.req.raw, action === "isolate" ? isolateBody : releaseBody);
      if (!body.ok) return refusal(c, body, deps);
      const key = idempotency.safeParse(c.req.header("idempotency-key"));
      if (!key.success) return refusal(c, refuse("admin.invalid", "idempotency-key header"), deps);
      const id = assetId.safeParse(c.req.param("id"));
      if (!id.success) return refusal(c, refuse("admin.not-found"), deps);
      return answerChange(c, { assetId: id.data, action, ...body.value, idempotencyKey: key.data }, deps);
    });
  }
}

async function answerChange(
  c: Context<Env>,
  change: Omit<ContainmentChange, "sourceIp" | "requestId">,
  deps: Deps,
) {
  const { admin, requestId } = c.var;
  const changed = await changeContainment(
    admin,
    { ...change, sourceIp: deps.sourceIp(c.req.raw), requestId },
    deps,
  );
  if (changed.ok) return c.json(await readAsset(deps, admin.tenantId, change.assetId), 202);
  if (changed.code !== "admin.conflict") return refusal(c, changed, deps);
  return refusal(c, changed, deps, {
    current: await readAsset(deps, admin.tenantId, change.assetId),
  });
}

/** Sets `admin`, or answers 401 or 403. Cookies are for pages: the API takes a bearer token only. */
function requireAdmin(deps: Deps) {
  return createMiddleware<Env>(async function requireAdmin(c, next) {
    if (!c.req.header("authorization")) return refusal(c, refuse("admin.unauthenticated"), deps);
    const admin = await authenticate(c.req.raw, deps);
    if (!admin.ok) return refusal(c, admin, deps);
    c.set("admin", admin.value);
    await next();
  });
}

async function readJson<Schema extends z.ZodType>(
  request: Request,
  schema: Schema,
): Promise<Verdict<z.infer<Schema>>> {
  const bytes = await readBody(request, BODY_BYTES_MAX);
  if (!bytes.ok) return bytes;
  const json = parseJson(bytes.value);
  if (!json.ok) return json;
  const parsed = schema.safeParse(json.value.parsed);
  if (parsed.success) return { ok: true, value: parsed.data };
  const where = parsed.error.issues.map((issue) => issue.path.map(String).join(".") || "body");
  return refuse("admin.invalid", where.join(", ").slice(0, 200));
}
