import type { Context, Hono } from "hono";
import { z } from "zod";
import { approvalItem } from "../../../shared/table/items/approval.ts";
import { decodeItem } from "../../../shared/table/items/decode.ts";
import { approvalKey } from "../../../shared/table/keys.ts";
import { refuse } from "../../../shared/verdict.ts";
import { may, mayRespond } from "../../auth/authenticate.ts";
import { keyId } from "../../auth/authenticate-api-key.ts";
import type { Admin } from "../../auth/permissions.ts";
import { approveIsolation } from "../../control/containment/approve-isolation.ts";
import { denyIsolation } from "../../control/containment/deny-isolation.ts";
import { changeContainment } from "../../control/containment/isolate-or-release.ts";
import type { Asker, Decision } from "../../control/custody/change-plan.ts";
import type { Env } from "../../request-env.ts";
import { approvalsPage } from "../approvals/approvals-page.tsx";
import type { DashboardDeps } from "../deps.ts";
import { acknowledgeForm, resolveForm } from "./parse-form.ts";
import { askerOf, idParams, postRoute, unchanged } from "./post-route.ts";
import { sendFailure, sendPage } from "./render-response.ts";

const mayApprove = (admin: Admin): boolean => may(admin, "approve");
const approveForm = acknowledgeForm.extend({ confirm: z.literal("yes") });

/** Adds the form routes for approvals: approve, deny, and repeat an expired request. */
export function approvalRoutes(app: Hono<Env>, deps: DashboardDeps): void {
  const post = postRoute(app, deps);
  const params = idParams(keyId);
  post("/approvals/:id/approve", {
    right: mayApprove,
    params,
    form: approveForm,
    invalid: showInvalid("select the checkbox to confirm"),
    handle: decide("approve", approve),
  });
  post("/approvals/:id/deny", {
    right: mayApprove,
    params,
    form: resolveForm,
    invalid: showInvalid("enter a reason of 3 to 200 characters"),
    handle: decide("deny", deny),
  });
  post("/approvals/:id/again", {
    right: mayRespond,
    params,
    form: acknowledgeForm,
    invalid: showInvalid("send the form again from this page"),
    handle: decide("again", requestAgain),
  });
  for (const action of ["approve", "deny", "again"])
    app.get(`/approvals/:id/${action}`, (c) => c.redirect("/approvals", 302));
}

type Fields = { key: string; justification?: string };
type Verb = (
  asker: Asker,
  approvalId: string,
  form: Fields,
  deps: DashboardDeps,
) => Promise<Decision<unknown>>;

const approve: Verb = (asker, approvalId, _form, deps) => approveIsolation(asker, approvalId, deps);
const deny: Verb = (asker, approvalId, { justification = "" }, deps) =>
  denyIsolation(asker, { approvalId, justification }, deps);

/** Repeats an expired request on behalf of the current user. The new request again waits for a second person. */
async function requestAgain(asker: Asker, approvalId: string, _form: Fields, deps: DashboardDeps) {
  const { tenantId } = asker.admin;
  const stored = await deps.authority.read(approvalKey(tenantId, approvalId));
  if (!stored) return refuse("admin.not-found");
  const { assetId, mode, justification } = decodeItem(approvalItem, stored);
  const { admin, ...origin } = asker;
  return changeContainment(admin, { assetId, action: "isolate", mode, justification, ...origin }, deps);
}

const showInvalid =
  (fix: string) =>
  async (c: Context<Env>, _input: unknown, deps: DashboardDeps): Promise<Response> => {
    const words = `Nothing was changed: ${fix}.`;
    return sendPage(c, await approvalsPage(c.var.admin, deps, { notice: { tone: "warning", words } }), 400);
  };

type Approval = { params: { id: string }; form: Fields };

const decide =
  (action: string, verb: Verb) =>
  async (c: Context<Env>, { params, form }: Approval, deps: DashboardDeps): Promise<Response> => {
    const done = await verb(askerOf(c, form.key, deps), params.id, form, deps);
    if (done.ok) return c.redirect(`/approvals?done=${action}`, 303);
    if (done.code === "admin.forbidden" || done.code === "admin.not-found") return sendFailure(c, done, deps);
    return sendPage(c, await approvalsPage(c.var.admin, deps, { notice: unchanged(done.detail) }), 409);
  };
