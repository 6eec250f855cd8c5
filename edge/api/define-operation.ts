import type { z } from "zod";
import type { RefusalCode } from "../../shared/verdict.ts";
import type { Admin, Permission } from "../auth/permissions.ts";
import type { Asker, Refused } from "../control/custody/custody-transaction.ts";
import type { Deps } from "../deps.ts";

export type Shape = z.ZodObject | undefined;
type Of<Schema> = Schema extends z.ZodType ? z.infer<Schema> : undefined;

/** A request that has been authenticated, authorised and validated. */
export type Input<Params, Query, Body> = {
  admin: Admin;
  params: Of<Params>;
  query: Of<Query>;
  body: Of<Body>;
  /** With a changing method: who asks, and under which idempotency key. */
  asker: Asker;
  /** With `ifMatch`: the version the caller has seen. */
  version: number;
};

/** `parts`: the JSON text of a body that is too large to be held, as it comes. */
export type Answer = { body: unknown; headers?: Record<string, string> } | { parts: AsyncGenerator<string> };
export type Outcome = { ok: true; value: Answer } | Refused;

type Described = {
  /** Name in the specification and of generated clients. */
  id: string;
  /** `/assets/{assetId}`, under `/v1`. */
  path: string;
  tag: string;
  summary: string;
  description?: string;
  /** The right it takes. There is no operation without one. */
  needs: Permission;
  success: 200 | 201 | 202;
  answer: z.ZodType;
  /** What it may be refused with beyond what every operation of its kind is. */
  refusals?: readonly RefusalCode[];
  /** The answer carries an ETag; a change must say with If-Match which one it saw. */
  versioned?: true;
};

/** One operation of the admin API: what it is called, who may, what comes in, what goes out, what it does. */
export type Operation = Described & {
  method: "get" | "post" | "put" | "delete";
  params?: z.ZodObject;
  query?: z.ZodObject;
  body?: z.ZodType;
  run(input: Input<never, never, never>, deps: Deps): Promise<Outcome>;
};

/** An operation whose `run` is typed by its own schemas. */
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
    run(input: Input<Params, Query, Body>, deps: Deps): Promise<Outcome>;
  },
): Operation {
  return described as unknown as Operation;
}
