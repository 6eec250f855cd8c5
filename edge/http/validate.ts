import { zValidator } from "@hono/zod-validator";
import type { Context, MiddlewareHandler, ValidationTargets } from "hono";
import { createMiddleware } from "hono/factory";
import type { z } from "zod";
import { fromUtf8 } from "../../shared/encoding/bytes.ts";
import type { Verdict } from "../../shared/verdict.ts";
import type { Env } from "../request-env.ts";
import type { HttpDeps } from "./deps.ts";
import { parseJson } from "./parse-json.ts";
import { refusal } from "./problem-response.ts";

type Target = keyof ValidationTargets;
type Refused = (c: Context<Env>, error: z.ZodError) => Response | Promise<Response>;

/**
 * Validates one target of the request (body, query, …) with `@hono/zod-validator`. Read the value with {@link
 * valid}.
 *
 * @param refused builds the response to an invalid value, because the library's default response contains the
 * zod error
 */
export const validate = (target: Target, schema: z.ZodType, refused: Refused): MiddlewareHandler<Env> =>
  zValidator(target, schema, (result, c) =>
    result.success ? undefined : refused(c as Context<Env>, result.error as z.ZodError),
  ) as MiddlewareHandler<Env>;

/**
 * Returns the value that {@link validate} parsed for that target. `_schema` only determines the type of the
 * result.
 */
export const valid = <Schema extends z.ZodType>(
  c: Context<Env>,
  target: Target,
  _schema: Schema,
): z.infer<Schema> => c.req.valid(target as never) as z.infer<Schema>;

/**
 * Reads a JSON body within its limits and puts its text into Hono's body cache. Otherwise `validate("json",
 * …)` would read the body without limits.
 */
export const jsonBody = (
  read: (c: Context<Env>) => Promise<Verdict<Uint8Array<ArrayBuffer>>>,
  deps: HttpDeps,
): MiddlewareHandler<Env> =>
  createMiddleware<Env>(async function jsonBody(c, next) {
    const bytes = await read(c);
    if (!bytes.ok) return refusal(c, bytes, deps);
    const json = parseJson(bytes.value);
    if (!json.ok) return refusal(c, json, deps);
    // Hono's own body cache contains promises, although its type does not say so.
    Object.assign(c.req.bodyCache, { text: Promise.resolve(fromUtf8(bytes.value)) });
    await next();
  });

/**
 * Puts the fields of a form into Hono's body cache, for `validate("form", …)`. The caller must have read the
 * form within its limits.
 */
export function keepForm(c: Context<Env>, fields: Record<string, string>): void {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  Object.assign(c.req.bodyCache, { formData: Promise.resolve(form) });
}
