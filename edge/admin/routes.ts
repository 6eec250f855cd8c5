import { type Context, Hono } from "hono";
import { createMiddleware } from "hono/factory";
import { z } from "zod";
import { accept, refuse, type Verdict } from "../../shared/refusal.ts";
import { type Env, refusal, tooMany } from "../answer.ts";
import { readBody } from "../body.ts";
import { networkOf } from "../client-ip.ts";
import type { Deps } from "../deps.ts";
import { parseJson } from "../json.ts";
import { streamText } from "../stream.ts";
import { API_KEY_PREFIX, authenticateKey } from "./api-key.ts";
import { authenticate, bearerToken, may } from "./authenticate.ts";
import type { Asker } from "./commit.ts";
import { CursorFault } from "./cursor.ts";
import type { Input, Operation } from "./operation.ts";
import { OPERATIONS } from "./operations/all.ts";
import { recordOfflineReleases } from "./release-code.ts";

/** The dashboard's forms hold themselves to the same words. */
export { JUSTIFICATION_CHARACTERS_MAX, justification } from "./inputs.ts";

/** A policy at all of its limits is larger than anything else that is asked. */
export const BODY_BYTES_MAX = 256 * 1024;

export const IDEMPOTENCY_KEY = z.string().regex(/^[A-Za-z0-9_-]{8,100}$/);
export const IF_MATCH = z.string().regex(/^"[0-9]{1,15}"$/);

/** Path of an operation as Hono writes it. */
export const routeOf = (operation: Operation): string => operation.path.replaceAll(/\{(\w+)\}/g, ":$1");

/** The admin API, mounted under `/v1`. Every answer is of the caller's own tenant. */
export function adminRoutes(deps: Deps): Hono<Env> {
  const app = new Hono<Env>();
  app.use(requireAdmin(deps));
  app.onError((error, c) => {
    if (error instanceof CursorFault) return refusal(c, refuse("admin.invalid", "cursor"), deps);
    throw error;
  });
  const paths = [...new Set(OPERATIONS.map(routeOf))];
  // Fixed paths first: `/incidents/acknowledge` is no incident.
  for (const path of paths.sort((a, b) => Number(a.includes(":")) - Number(b.includes(":")))) {
    const operations = OPERATIONS.filter((each) => routeOf(each) === path);
    for (const operation of operations) {
      app.on(operation.method.toUpperCase(), path, (c) => carryOut(c, operation, deps));
    }
    const methods = operations.map(({ method }) => method.toUpperCase()).join(", ");
    app.all(path, (c) => {
      c.header("allow", methods);
      return refusal(c, refuse("admin.method"), deps);
    });
  }
  return app;
}

/** May they, is it well-formed, and only then what it does. */
async function carryOut(c: Context<Env>, operation: Operation, deps: Deps): Promise<Response> {
  if (!may(c.var.admin, operation.needs)) return refusal(c, refuse("admin.forbidden"), deps);
  const input = await readInput(c, operation, deps);
  if (!input.ok) return refusal(c, input, deps);
  await recordOfflineReleases(c.var.admin.tenantId, undefined, deps);
  const done = await operation.run(input.value as Input<never, never, never>, deps);
  if (!done.ok) return refusal(c, done, deps, done.more);
  // What an admin sees is of this moment and of this person.
  if ("parts" in done.value) return sendParts(c, done.value.parts, operation, deps);
  const headers = { "cache-control": "no-store", ...done.value.headers };
  return c.json(done.value.body as object, operation.success, headers);
}

async function sendParts(c: Context<Env>, parts: AsyncGenerator<string>, operation: Operation, deps: Deps) {
  const { requestId } = c.var;
  const body = await streamText(parts, (error) =>
    deps.log("error", "export.failed", { requestId, list: operation.id, error }),
  );
  const headers = { "cache-control": "no-store", "content-type": "application/json" };
  return c.body(body, operation.success, headers);
}

async function readInput(
  c: Context<Env>,
  operation: Operation,
  deps: Deps,
): Promise<Verdict<Input<z.ZodObject, z.ZodObject, z.ZodType>>> {
  // An id that cannot be, one that does not exist and another tenant's: all the same 404.
  const params = (operation.params ?? NOTHING).safeParse(c.req.param());
  if (!params.success) return refuse("admin.not-found");
  const query = readQuery(c, operation.query ?? NOTHING);
  if (!query.ok) return query;
  const conditions = operation.method === "get" ? accept(UNASKED) : readConditions(c, operation);
  if (!conditions.ok) return conditions;
  const body = operation.body ? await readJson(c.req.raw, operation.body) : accept(undefined);
  if (!body.ok) return body;
  const { admin, requestId } = c.var;
  const { idempotencyKey, version } = conditions.value;
  const asker: Asker = { admin, requestId, idempotencyKey, sourceIp: deps.sourceIp(c.req.raw) };
  return accept({ admin, params: params.data, query: query.value, body: body.value, asker, version });
}

const NOTHING = z.strictObject({});
const UNASKED = { idempotencyKey: "", version: 0 };

/** Every parameter once, and none that the operation does not know: a misspelt filter would filter nothing. */
function readQuery(c: Context<Env>, schema: z.ZodObject): Verdict<Record<string, unknown>> {
  const all = Object.entries(c.req.queries());
  if (all.some(([, values]) => values.length > 1))
    return refuse("admin.invalid", "query: a parameter came twice");
  const parsed = schema.safeParse(Object.fromEntries(all.map(([name, [value]]) => [name, value])));
  return parsed.success
    ? accept(parsed.data)
    : refuse("admin.invalid", `query: ${places(parsed.error, "a parameter that is unknown")}`);
}

/** What every change must carry, and what a change of something versioned must carry besides. */
function readConditions(
  c: Context<Env>,
  operation: Operation,
): Verdict<{ idempotencyKey: string; version: number }> {
  const key = IDEMPOTENCY_KEY.safeParse(c.req.header("idempotency-key"));
  if (!key.success) return refuse("admin.invalid", "idempotency-key header");
  if (!operation.versioned) return accept({ idempotencyKey: key.data, version: 0 });
  const given = c.req.header("if-match");
  if (given === undefined) return refuse("admin.unconditional");
  const match = IF_MATCH.safeParse(given);
  if (!match.success) return refuse("admin.invalid", "if-match header");
  return accept({ idempotencyKey: key.data, version: Number(match.data.slice(1, -1)) });
}

/** Sets `admin`, or answers 401 or 403. Cookies are for pages: the API takes a bearer credential only. */
function requireAdmin(deps: Deps) {
  return createMiddleware<Env>(async function requireAdmin(c, next) {
    const { admin: limit } = deps.limits;
    const credential = bearerToken(c.req.raw);
    const isKey = credential?.startsWith(API_KEY_PREFIX) ?? false;
    if (isKey) {
      const tried = limit.take(`address ${networkOf(deps.sourceIp(c.req.raw))}`);
      if (!tried.allowed) return tooMany(c, limit, tried, deps);
    }
    const admin =
      credential === undefined
        ? refuse("admin.unauthenticated")
        : isKey
          ? await authenticateKey(credential, deps)
          : await authenticate(c.req.raw, deps);
    if (!admin.ok) {
      if (admin.code === "admin.unauthenticated") c.header("www-authenticate", "Bearer");
      return refusal(c, admin, deps);
    }
    const taken = limit.take(`${admin.value.tenantId} ${admin.value.userId}`);
    if (!taken.allowed) return tooMany(c, limit, taken, deps);
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
  const parsed = schema.safeParse(json.value);
  return parsed.success ? accept(parsed.data) : refuse("admin.invalid", places(parsed.error));
}

/** Where it was wrong, each place once. Names the schema does not know are the caller's text, and stay unsaid. */
const places = (error: z.ZodError, whole = "body"): string =>
  [...new Set(error.issues.map((issue) => issue.path.map(String).join(".") || whole))]
    .join(", ")
    .slice(0, 200);
