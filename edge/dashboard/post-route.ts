import type { Context, Hono } from "hono";
import { accept, refuse, type Verdict } from "../../shared/refusal.ts";
import { type Admin, authenticate } from "../admin/authenticate.ts";
import type { Asker } from "../admin/commit.ts";
import type { Env } from "../answer.ts";
import type { Deps } from "../deps.ts";
import { isCsrfToken, isSameSite } from "./csrf.ts";
import { readForm } from "./forms.ts";
import type { Notice } from "./notice.tsx";
import { sendFailure, sendStranger } from "./respond.ts";

export type Fields = Record<string, string>;
export type FormLimits = { bytesMax: number; fieldsMax: number };
export type FormAnswer = (c: Context<Env>, fields: Fields, deps: Deps) => Promise<Response>;

/** Adds routes that take a form: of this site, of this session, of somebody who has the right, on a node that may write. */
export const postRoute =
  (app: Hono<Env>, deps: Deps) =>
  (path: string, right: (admin: Admin) => boolean, answer: FormAnswer, limits?: FormLimits) =>
    app.post(path, async (c) => {
      const admin = await authenticate(c.req.raw, deps);
      if (!admin.ok) return sendStranger(c, admin, deps);
      c.set("admin", admin.value);
      const fields = await readOwnForm(c, right, deps, limits);
      if (!fields.ok) return sendFailure(c, fields, deps);
      if (!deps.controlKey) return sendFailure(c, refuse("admin.read-only"), deps);
      return answer(c, fields.value, deps);
    });

/** From where, who may, with which token: only then is anything in the form looked at. */
async function readOwnForm(
  c: Context<Env>,
  right: (admin: Admin) => boolean,
  deps: Deps,
  limits: FormLimits | undefined,
): Promise<Verdict<Fields>> {
  if (!isSameSite(c.req.raw, deps)) return refuse("admin.cross-site");
  if (!right(c.var.admin)) return refuse("admin.forbidden");
  const fields = await readForm(c.req.raw, limits);
  if (!fields.ok) return fields;
  const own = await isCsrfToken(fields.value.csrf ?? "", c.var.admin, deps);
  return own ? accept(fields.value) : refuse("admin.cross-site");
}

export const askerOf = (c: Context<Env>, idempotencyKey: string, deps: Deps): Asker => {
  const { admin, requestId } = c.var;
  return { admin, sourceIp: deps.sourceIp(c.req.raw), requestId, idempotencyKey };
};

export const unchanged = (detail: string | undefined): Notice => ({
  tone: "warning",
  words: `Nothing was changed: ${detail ?? "the current state does not allow it"}. The current state is below.`,
});
