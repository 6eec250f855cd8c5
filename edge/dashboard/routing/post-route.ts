import type { Context, Hono } from "hono";
import { createMiddleware } from "hono/factory";
import { z } from "zod";
import { accept, refuse, type Verdict } from "../../../shared/verdict.ts";
import { authenticate } from "../../auth/authenticate.ts";
import type { Admin } from "../../auth/permissions.ts";
import type { Asker } from "../../control/custody/change-plan.ts";
import { keepForm, valid, validate } from "../../http/validate.ts";
import type { Env } from "../../request-env.ts";
import type { Notice } from "../components/notice.tsx";
import type { DashboardDeps } from "../deps.ts";
import { isCsrfToken, isSameSite } from "../session/csrf.ts";
import { readForm } from "./parse-form.ts";
import { sendFailure, sendUnauthenticated } from "./render-response.ts";

export type Fields = Readonly<Record<string, string>>;
type FormLimits = { bytesMax: number; fieldsMax: number };

export type FormRoute<Form extends z.ZodType, Params extends z.ZodType> = {
  right: (admin: Admin) => boolean;
  /** Schema of the path parameters. An invalid path parameter results in 404. */
  params?: Params;
  form: Form;
  /** Creates the response to a form that the schema rejects. Default: a refusal with the code `admin.invalid`. */
  invalid?: (
    c: Context<Env>,
    input: { fields: Fields; params: z.infer<Params>; error: z.ZodError },
    deps: DashboardDeps,
  ) => Promise<Response>;
  /** Handles a valid form and creates the response. */
  handle: (
    c: Context<Env>,
    input: { fields: Fields; params: z.infer<Params>; form: z.infer<Form> },
    deps: DashboardDeps,
  ) => Promise<Response>;
  limits?: FormLimits;
};

const NO_PARAMS = z.object({});
export const idParams = <Id extends z.ZodType>(id: Id) => z.object({ id });

/**
 * Adds a POST route for a form. The route needs a session, the permission, a same-origin request, a CSRF
 * token and the control key.
 */
export const postRoute =
  (app: Hono<Env>, deps: DashboardDeps) =>
  <Form extends z.ZodType, Params extends z.ZodType = typeof NO_PARAMS>(
    path: string,
    { right, params, form, invalid, handle, limits }: FormRoute<Form, Params>,
  ): void => {
    const paramsSchema = (params ?? NO_PARAMS) as Params;
    const paramsOf = (c: Context<Env>) => valid(c, "param", paramsSchema);
    const checkedForm = createMiddleware<Env>(async function checkedForm(c, next) {
      const admin = await authenticate(c.req.raw, deps);
      if (!admin.ok) return sendUnauthenticated(c, admin, deps);
      c.set("admin", admin.value);
      const fields = await readCheckedForm(c, right, deps, limits);
      if (!fields.ok) return sendFailure(c, fields, deps);
      if (!deps.controlKey) return sendFailure(c, refuse("admin.read-only"), deps);
      c.set("fields", fields.value);
      keepForm(c, fields.value);
      await next();
    });
    app.post(
      path,
      checkedForm,
      validate("param", paramsSchema, (c) => sendFailure(c, refuse("admin.not-found"), deps)),
      validate("form", form, (c, error) =>
        invalid
          ? invalid(c, { fields: c.var.fields!, params: paramsOf(c), error }, deps)
          : sendFailure(c, refuse("admin.invalid"), deps),
      ),
      (c) => handle(c, { fields: c.var.fields!, params: paramsOf(c), form: valid(c, "form", form) }, deps),
    );
  };

/**
 * Checks the origin, the permission and the CSRF token, in this order, before any other field of the form is
 * used.
 */
async function readCheckedForm(
  c: Context<Env>,
  right: (admin: Admin) => boolean,
  deps: DashboardDeps,
  limits: FormLimits | undefined,
): Promise<Verdict<Fields>> {
  if (!isSameSite(c.req.raw, deps)) return refuse("admin.cross-site");
  if (!right(c.var.admin)) return refuse("admin.forbidden");
  const fields = await readForm(c.req.raw, limits);
  if (!fields.ok) return fields;
  const own = await isCsrfToken(fields.value.csrf ?? "", c.var.admin, deps);
  return own ? accept(fields.value) : refuse("admin.cross-site");
}

export const askerOf = (c: Context<Env>, idempotencyKey: string, deps: DashboardDeps): Asker => {
  const { admin, requestId } = c.var;
  return { admin, sourceIp: deps.sourceIp(c.req.raw), requestId, idempotencyKey };
};

/** The notice after a rejected change. `detail`: the reason, as a clause without a full stop. */
export const unchanged = (detail: string | undefined): Notice => ({
  tone: "warning",
  words: `Nothing was changed: ${detail ?? "the current state does not allow it"}. This page shows the current state.`,
});
