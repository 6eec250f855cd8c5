import type { Context, MiddlewareHandler } from "hono";
import { createMiddleware } from "hono/factory";
import { Hono } from "hono/tiny";
import { z } from "zod";
import { accept, refuse, type Verdict } from "../../shared/verdict.ts";
import { IDEMPOTENCY_KEY_FORM } from "../../shared/wire/idempotency-key.ts";
import { authenticate, bearerToken, may } from "../auth/authenticate.ts";
import { API_KEY_PREFIX, authenticateKey } from "../auth/authenticate-api-key.ts";
import { recordOfflineReleases } from "../control/containment/release-code.ts";
import { CursorFault } from "../control/cursor.ts";
import type { Asker } from "../control/custody/change-plan.ts";
import { networkOf } from "../http/client-ip.ts";
import { refusal, tooMany } from "../http/problem-response.ts";
import { readBody } from "../http/read-body.ts";
import { streamText } from "../http/stream-text.ts";
import { jsonBody, valid, validate } from "../http/validate.ts";
import type { Env } from "../request-env.ts";
import type { Input, Operation } from "./define-operation.ts";
import type { ApiDeps } from "./deps.ts";
import { OPERATIONS } from "./operations/registry.ts";

/**
 * Maximum size of a request body in bytes. The largest body is a policy in which every list has its maximum
 * length.
 */
const BODY_BYTES_MAX = 256 * 1024;

export const IDEMPOTENCY_KEY = z.string().regex(IDEMPOTENCY_KEY_FORM);
export const IF_MATCH = z.string().regex(/^"[0-9]{1,15}"$/);

/** Path of an operation in Hono's syntax. */
export const routeOf = (operation: Operation): string => operation.path.replaceAll(/\{(\w+)\}/g, ":$1");

/** Routes of the admin API, mounted under `/v1`. Every response contains only data of the caller's tenant. */
export function adminRoutes(deps: ApiDeps): Hono<Env> {
  const app = new Hono<Env>();
  app.use(requireAdmin(deps));
  app.onError((error, c) => {
    if (error instanceof CursorFault)
      return refusal(c, refuse("admin.invalid", "cursor: it is invalid or from a different list"), deps);
    throw error;
  });
  const paths = [...new Set(OPERATIONS.map(routeOf))];
  // Fixed paths first, so that `/incidents/acknowledge` is not taken for an incident id.
  for (const path of paths.sort((a, b) => Number(a.includes(":")) - Number(b.includes(":")))) {
    const operations = OPERATIONS.filter((each) => routeOf(each) === path);
    for (const operation of operations) {
      app.on([operation.method.toUpperCase()], [path], ...validators(operation, deps), (c) =>
        carryOut(c, operation, deps),
      );
    }
    const methods = operations.map(({ method }) => method.toUpperCase()).join(", ");
    app.all(path, (c) => {
      c.header("allow", methods);
      return refusal(c, refuse("admin.method"), deps);
    });
  }
  return app;
}

/**
 * Middleware that checks the permission first and then validates the request. Every refusal has a code that
 * the OpenAPI document lists.
 */
function validators(operation: Operation, deps: ApiDeps): MiddlewareHandler<Env>[] {
  const { needs, params = NOTHING, query = NOTHING, body } = operation;
  const invalid = (c: Context<Env>, detail: string) => refusal(c, refuse("admin.invalid", detail), deps);
  const mayCall = createMiddleware<Env>(async function mayCall(c, next) {
    return may(c.var.admin, needs) ? await next() : refusal(c, refuse("admin.forbidden"), deps);
  });
  return [
    mayCall,
    // A malformed id, an unknown id and an id of another tenant all get the same 404 response.
    validate("param", params, (c) => refusal(c, refuse("admin.not-found"), deps)),
    onceEach(deps),
    // Unknown parameters are refused. Otherwise a misspelt filter would be ignored and the list would be
    // unfiltered.
    validate("query", query, (c, error) => invalid(c, `query: ${places(error, "unknown parameter")}`)),
    ...(operation.method === "get" ? [] : [conditions(operation, deps)]),
    ...(body
      ? [
          jsonBody((c) => readBody(c.req.raw, BODY_BYTES_MAX), deps),
          validate("json", body, (c, error) => invalid(c, places(error))),
        ]
      : []),
  ];
}

async function carryOut(c: Context<Env>, operation: Operation, deps: ApiDeps): Promise<Response> {
  const { admin, requestId, idempotencyKey = "", version = 0 } = c.var;
  const asker: Asker = { admin, requestId, idempotencyKey, sourceIp: deps.sourceIp(c.req.raw) };
  const input: Input<z.ZodObject, z.ZodObject, z.ZodType> = {
    admin,
    params: valid(c, "param", operation.params ?? NOTHING),
    query: valid(c, "query", operation.query ?? NOTHING),
    body: operation.body && valid(c, "json", operation.body),
    asker,
    version,
  };
  await recordOfflineReleases(admin.tenantId, undefined, deps);
  const done = await operation.run(input as Input<never, never, never>, deps);
  if (!done.ok) return refusal(c, done, deps, done.more);
  // API responses must not be cached, because each contains data for one caller.
  if ("parts" in done.value) return sendParts(c, done.value.parts, operation, deps);
  const headers = { "cache-control": "no-store", ...done.value.headers };
  return c.json(done.value.body as object, operation.success, headers);
}

async function sendParts(
  c: Context<Env>,
  parts: AsyncGenerator<string>,
  operation: Operation,
  deps: ApiDeps,
) {
  const { requestId } = c.var;
  const body = await streamText(parts, (error) =>
    deps.log("error", "export.failed", { requestId, list: operation.id, error }),
  );
  const headers = { "cache-control": "no-store", "content-type": "application/json" };
  return c.body(body, operation.success, headers);
}

const NOTHING = z.strictObject({});

/** Refuses a repeated query parameter, because it is ambiguous. */
const onceEach = (deps: ApiDeps): MiddlewareHandler<Env> =>
  createMiddleware<Env>(async function onceEach(c, next) {
    const isRepeated = Object.values(c.req.queries()).some((values) => values.length > 1);
    if (isRepeated) return refusal(c, refuse("admin.invalid", "query: a parameter is repeated"), deps);
    await next();
  });

const conditions = (operation: Operation, deps: ApiDeps): MiddlewareHandler<Env> =>
  createMiddleware<Env>(async function conditions(c, next) {
    const read = readConditions(c, operation);
    if (!read.ok) return refusal(c, read, deps);
    c.set("idempotencyKey", read.value.idempotencyKey);
    c.set("version", read.value.version);
    await next();
  });

/** Reads the headers of a change: Idempotency-Key, and If-Match if the resource is versioned. */
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

/** Authenticates the caller and sets `admin`. The API accepts bearer credentials only, because cookies are for pages. */
function requireAdmin(deps: ApiDeps) {
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

/**
 * Paths of the invalid values in the request. Names that are not in the schema are left out, because the
 * caller chose them.
 */
const places = (error: z.ZodError, whole = "body"): string =>
  [...new Set(error.issues.map((issue) => issue.path.map(String).join(".") || whole))]
    .join(", ")
    .slice(0, 200);
