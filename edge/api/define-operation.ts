import type { z } from "zod";
import type { RefusalCode } from "../../shared/verdict.ts";
import type { Admin, Permission } from "../auth/permissions.ts";
import type { Asker, Refused } from "../control/custody/change-plan.ts";
import type { ApiDeps } from "./deps.ts";

type Of<Schema> = Schema extends z.ZodType ? z.infer<Schema> : undefined;

/** A request that has been authenticated, authorised and validated. */
export type Input<Params, Query, Body> = {
  admin: Admin;
  params: Of<Params>;
  query: Of<Query>;
  body: Of<Body>;
  /** The caller and the origin of the request. Its idempotency key is empty for a read. */
  asker: Asker;
  /** Resource version from the If-Match header. Only used by operations with `versioned`. */
  version: number;
};

/**
 * Response of an operation: a `body`, or `parts` of JSON text. `parts` is for a body that is too large for
 * memory, so it is streamed.
 */
type Answer = { body: unknown; headers?: Record<string, string> } | { parts: AsyncGenerator<string> };
export type Outcome = { ok: true; value: Answer } | Refused;

type Described = {
  /** Operation id in the OpenAPI document. Generated clients use it as a name. */
  id: string;
  /** Path below `/v1`, such as `/assets/{assetId}`. */
  path: string;
  tag: string;
  summary: string;
  description?: string;
  /** Permission that the caller needs. */
  needs: Permission;
  success: 200 | 201 | 202;
  answer: z.ZodType;
  /** Error codes of this operation, in addition to the codes that all operations with the same inputs have. */
  refusals?: readonly RefusalCode[];
  /** True if the response has an ETag that the caller must send as If-Match to change the resource. */
  versioned?: true;
};

/** One operation of the admin API: description, permission, request and response schemas, and handler. */
export type Operation = Described & {
  method: "get" | "post" | "put" | "delete";
  params?: z.ZodObject;
  query?: z.ZodObject;
  body?: z.ZodType;
  run(input: Input<never, never, never>, deps: ApiDeps): Promise<Outcome>;
};

/** Defines an operation. TypeScript infers the input types of `run` from the schemas. */
export function operation<
  Params extends z.ZodObject | undefined = undefined,
  Query extends z.ZodObject | undefined = undefined,
  Body extends z.ZodType | undefined = undefined,
>(
  described: Described & {
    method: Operation["method"];
    params?: Params;
    query?: Query;
    body?: Body;
    run(input: Input<Params, Query, Body>, deps: ApiDeps): Promise<Outcome>;
  },
): Operation {
  return described as unknown as Operation;
}
