import { z } from "zod";
import { createDocument, type ZodOpenApiOperationObject, type ZodOpenApiResponsesObject } from "zod-openapi";
import { REFUSALS, type RefusalCode } from "../../shared/verdict.ts";
import { permissionsOf, ROLES } from "../auth/permissions.ts";
import { IDEMPOTENCY_KEY, IF_MATCH } from "./api-routes.ts";
import type { Operation } from "./define-operation.ts";
import { OPERATIONS } from "./operations/registry.ts";
import { problemView } from "./response-schemas.ts";

export type OpenApi = ReturnType<typeof createDocument>;

const UNAVAILABLE = 503;

const etag = z
  .string()
  .regex(/^"[0-9]+"$/)
  .meta({
    description:
      "Version of the resource (RFC 9110 §8.8.3). To change the resource, send this value as If-Match.",
  });

const idempotencyKey = IDEMPOTENCY_KEY.meta({
  description:
    "Identifies the change. If you repeat the same request with the same key within 24 hours, you get the first result and nothing changes. A different request with the same key is refused.",
});
const ifMatch = IF_MATCH.meta({ description: "ETag of the version that you read." });

/** OpenAPI 3.1 document of the admin API, built from the schemas that validate its requests. */
export function createOpenApi(version: string, serverUrl?: string): OpenApi {
  const paths: Record<string, Record<string, ZodOpenApiOperationObject>> = {};
  for (const operation of OPERATIONS) {
    const path = `/v1${operation.path}`;
    paths[path] ??= {};
    paths[path][operation.method] = described(operation);
  }
  return createDocument({
    openapi: "3.1.0",
    info: {
      title: "LifecycleZero admin API",
      version,
      description:
        "Every response contains only data of the tenant to which your credential belongs. Errors are problem documents (RFC 9457) with a stable `code`. A server fault has status 503 and a Retry-After header.",
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    ...(serverUrl !== undefined && { servers: [{ url: serverUrl }] }),
    security: [{ session: [] }, { apiKey: [] }],
    components: {
      securitySchemes: {
        session: {
          type: "http",
          scheme: "bearer",
          bearerFormat: "JWT",
          description: "Session token from your identity provider.",
        },
        apiKey: {
          type: "http",
          scheme: "bearer",
          bearerFormat: "lzk",
          description: "API key, `lzk_…`.",
        },
      },
    },
    paths,
  });
}

function described(operation: Operation): ZodOpenApiOperationObject {
  const { id, tag, summary, description, needs, params, query, body } = operation;
  const roles = ROLES.filter((role) => permissionsOf(role).includes(needs));
  const header = headersOf(operation);
  return {
    operationId: id,
    tags: [tag],
    summary,
    description: `${description ? `${description}\n\n` : ""}Needs \`${needs}\`: ${roles.join(", ")}.`,
    requestParams: { ...(params && { path: params }), ...(query && { query }), ...(header && { header }) },
    ...(body && { requestBody: { required: true, content: { "application/json": { schema: body } } } }),
    responses: responsesOf(operation),
  };
}

function headersOf({ method, versioned }: Operation): z.ZodObject | undefined {
  if (method === "get") return undefined;
  return z.object({ "idempotency-key": idempotencyKey, ...(versioned && { "if-match": ifMatch }) });
}

/** Error codes that an operation can return: those that follow from its method and inputs, and its own `refusals`. */
function refusalsOf({ method, params, query, body, versioned, refusals = [] }: Operation): RefusalCode[] {
  const codes: RefusalCode[] = ["admin.unauthenticated", "admin.forbidden", "admin.invalid", "wire.too-many"];
  if (params) codes.push("admin.not-found");
  if (query || body) codes.push("admin.invalid");
  if (body) codes.push("wire.malformed", "wire.media-type", "wire.too-large", "wire.too-slow");
  if (method !== "get") codes.push("admin.read-only", "admin.conflict");
  if (method !== "get" && versioned) codes.push("admin.outdated", "admin.unconditional");
  return [...new Set([...codes, ...refusals])];
}

function responsesOf(operation: Operation): ZodOpenApiResponsesObject {
  const responses: ZodOpenApiResponsesObject = {
    [operation.success]: {
      description: "Success",
      ...(operation.versioned && { headers: z.object({ etag }) }),
      content: { "application/json": { schema: operation.answer } },
    },
  };
  const problem = { "application/problem+json": { schema: problemView } };
  for (const code of refusalsOf(operation)) {
    const { status, title } = REFUSALS[code];
    const key = String(status) as "400";
    const other = responses[key] as { description: string } | undefined;
    responses[key] = {
      description: other ? `${other.description}; ${code}: ${title}` : `${code}: ${title}`,
      content: problem,
    };
  }
  responses["431"] = { description: "The request line or a header is too long" };
  const retryAfter = z.string().regex(/^\d+$/).meta({ description: "Seconds until you should retry." });
  responses[`${UNAVAILABLE}`] = {
    description: "edge.unavailable: The service is temporarily unavailable. Try again shortly",
    headers: z.object({ "retry-after": retryAfter }),
    content: problem,
  };
  return responses;
}
