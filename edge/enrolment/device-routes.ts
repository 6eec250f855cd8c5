import type { Context } from "hono";
import { createMiddleware } from "hono/factory";
import type { Hono } from "hono/tiny";
import type { z } from "zod";
import { refuse, type Verdict } from "../../shared/verdict.ts";
import { enrolmentRequest, sessionRequest } from "../../shared/wire/enrolment.ts";
import { networkOf } from "../http/client-ip.ts";
import { invalidPathOf } from "../http/parse-json.ts";
import { edgeProblem, refusal, tooMany } from "../http/problem-response.ts";
import { jsonBody, valid, validate } from "../http/validate.ts";
import type { Env } from "../request-env.ts";
import type { EnrolmentDeps } from "./deps.ts";
import { type Limited, readSignedBody, type Signed } from "./device-signature.ts";
import { enrol, verifyEnrolment } from "./enrol-device.ts";
import { openSession, verifySession } from "./open-session.ts";

export const SESSION_PATH = "/v1/session";
export const ENROL_PATH = "/v1/enroll";

/** Adds `POST /v1/session` on nodes that serve the `ingest` routes. */
export function sessionRoute(app: Hono<Env>, deps: EnrolmentDeps): void {
  postSigned(app, deps, {
    path: SESSION_PATH,
    verify: verifySession,
    body: sessionRequest,
    respond: (signed, deps, body) => openSession(signed, body, deps),
    success: 200,
  });
}

/**
 * Adds `POST /v1/enroll` on nodes that serve the `enrol` routes. The route responds with 404 if the node has
 * no enrol key and no control key.
 */
export function enrolRoute(app: Hono<Env>, deps: EnrolmentDeps): void {
  if (deps.enrolKey ?? deps.controlKey)
    postSigned(app, deps, {
      path: ENROL_PATH,
      verify: verifyEnrolment,
      body: enrolmentRequest,
      respond: (signed, deps, body) => enrol(signed, body, deps),
      success: 201,
    });
  else app.post(ENROL_PATH, (c) => edgeProblem(c, "edge.no-enrolment"));
}

/**
 * Status codes that only an authenticated device can receive: revoked (403), token used up (409), too many
 * requests (429).
 */
const AUTHENTIC = [403, 409, 429];

/**
 * Rate limit per network for requests that fail authentication, because each of them costs an Ed25519
 * verification and a table read. Authenticated requests are not counted, so any number of hosts can share one
 * address.
 */
function limitRefused(deps: EnrolmentDeps) {
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
  /** Authenticates the signer before the body is read. */
  verify: (request: Request, deps: EnrolmentDeps) => Promise<Verdict<Known>>;
  body: Body;
  respond: (known: Known, deps: EnrolmentDeps, body: z.infer<Body>) => Promise<Verdict<object> | Limited>;
  success: 200 | 201;
};

/**
 * Adds a route for requests that are signed with a device key. The checks run in this order: rate limit,
 * signature, digest, schema. The handler runs last.
 */
function postSigned<Known extends Signed, Body extends z.ZodType>(
  app: Hono<Env>,
  deps: EnrolmentDeps,
  { path, verify, body, respond, success }: SignedRoute<Known, Body>,
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
    validate("json", body, (c, error) => refusal(c, refuse("wire.malformed", invalidPathOf(error)), deps)),
    async (c) => {
      const verdict = await respond(signers.get(c.req.raw)!, deps, valid(c, "json", body));
      return respondToDevice(c, verdict, success, deps);
    },
  );
}

/** Responses that contain keys must not be cached. */
function respondToDevice<T extends object>(
  c: Context<Env>,
  verdict: Verdict<T> | Limited,
  status: 200 | 201,
  deps: EnrolmentDeps,
) {
  if ("taken" in verdict) return tooMany(c, verdict.limit, verdict.taken, deps);
  if (!verdict.ok) return refusal(c, verdict, deps);
  c.header("cache-control", "no-store");
  return c.json(verdict.value as object, status);
}
