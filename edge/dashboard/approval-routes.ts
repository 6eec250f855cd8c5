import type { Hono } from "hono";
import { z } from "zod";
import { refuse } from "../../shared/refusal.ts";
import { marshalItem } from "../../shared/table/dynamo.ts";
import { approvalItem } from "../../shared/table/items/approval.ts";
import { decodeItem } from "../../shared/table/items/decode.ts";
import { approvalKey } from "../../shared/table/keys.ts";
import { keyId } from "../admin/api-key.ts";
import { approveIsolation } from "../admin/approve-isolation.ts";
import { type Admin, may, mayRespond } from "../admin/authenticate.ts";
import { changeContainment } from "../admin/change-containment.ts";
import type { Asker, Decision } from "../admin/commit.ts";
import { denyIsolation } from "../admin/deny-isolation.ts";
import type { Env } from "../answer.ts";
import type { Deps } from "../deps.ts";
import { approvalsPage } from "./approvals.tsx";
import { acknowledgeForm, resolveForm } from "./forms.ts";
import { askerOf, type FormAnswer, postRoute, unchanged } from "./post-route.ts";
import { sendFailure, sendPage } from "./respond.ts";

const mayApprove = (admin: Admin): boolean => may(admin, "approve");
const approveForm = acknowledgeForm.extend({ confirm: z.literal("yes") });

/** What the second person answers, and asking anew for what nobody answered. */
export function approvalRoutes(app: Hono<Env>, deps: Deps): void {
  const post = postRoute(app, deps);
  post("/approvals/:id/approve", mayApprove, answered("approve", approveForm, approveIt));
  post("/approvals/:id/deny", mayApprove, answered("deny", resolveForm, denyIt));
  post("/approvals/:id/again", mayRespond, answered("again", acknowledgeForm, askAgain));
  for (const action of ["approve", "deny", "again"])
    app.get(`/approvals/:id/${action}`, (c) => c.redirect("/approvals", 302));
}

type Fields = { key: string; justification?: string };
type Verb = (asker: Asker, approvalId: string, form: Fields, deps: Deps) => Promise<Decision<unknown>>;

const approveIt: Verb = (asker, approvalId, _form, deps) => approveIsolation(asker, approvalId, deps);
const denyIt: Verb = (asker, approvalId, { justification = "" }, deps) =>
  denyIsolation(asker, { approvalId, justification }, deps);

/** The request as it was made, made again by whoever asks now: it waits for another person like the first one did. */
async function askAgain(asker: Asker, approvalId: string, _form: Fields, deps: Deps) {
  const { tenantId } = asker.admin;
  const Key = marshalItem(approvalKey(tenantId, approvalId));
  const { Item } = await deps.dynamo("GetItem", { TableName: deps.table, Key });
  if (!Item) return refuse("admin.not-found");
  const { assetId, mode, justification } = decodeItem(approvalItem, Item);
  const { admin, ...origin } = asker;
  return changeContainment(admin, { assetId, action: "isolate", mode, justification, ...origin }, deps);
}

function answered(action: string, schema: z.ZodType<Fields>, verb: Verb): FormAnswer {
  return async (c, fields, deps) => {
    const { admin } = c.var;
    const id = keyId.safeParse(c.req.param("id"));
    if (!id.success) return sendFailure(c, refuse("admin.not-found"), deps);
    const form = schema.safeParse(fields);
    if (!form.success) {
      const words = `Nothing was changed: ${action === "deny" ? "give a reason of 3 to 200 characters" : "confirm that you mean it"}.`;
      return sendPage(c, await approvalsPage(admin, deps, { notice: { tone: "warning", words } }), 400);
    }
    const done = await verb(askerOf(c, form.data.key, deps), id.data, form.data, deps);
    if (done.ok) return c.redirect(`/approvals?done=${action}`, 303);
    if (done.code === "admin.forbidden" || done.code === "admin.not-found") return sendFailure(c, done, deps);
    return sendPage(c, await approvalsPage(admin, deps, { notice: unchanged(done.detail) }), 409);
  };
}
