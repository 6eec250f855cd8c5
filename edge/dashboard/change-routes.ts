import type { Context, Hono } from "hono";
import type { z } from "zod";
import { assetId } from "../../shared/ids.ts";
import { refuse } from "../../shared/refusal.ts";
import { acknowledgeIncidents, BULK_INCIDENTS_MAX, resolveIncident } from "../admin/answer-incidents.ts";
import { type Admin, may, mayRespond } from "../admin/authenticate.ts";
import { changeContainment } from "../admin/change-containment.ts";
import { createEnrolmentToken, revokeEnrolmentToken } from "../admin/enrolment-tokens.ts";
import { incidentName, tokenParams } from "../admin/inputs.ts";
import type { Env } from "../answer.ts";
import type { Deps } from "../deps.ts";
import { siteOrigin } from "../public-origin.ts";
import { assetPage } from "./asset.tsx";
import { changeKey } from "./csrf.ts";
import { enrolmentForm, enrolmentPage, mayEnrol } from "./enrolment.tsx";
import { acknowledgeForm, draftOf, isolateForm, releaseForm, resolveForm } from "./forms.ts";
import { incidentPage } from "./incident.tsx";
import { incidentsPage } from "./incidents.tsx";
import { askerOf, type Fields, type FormAnswer, postRoute, unchanged } from "./post-route.ts";
import { sendFailure, sendPage } from "./respond.ts";
import { returnPath } from "./return-path.ts";

/** What responders change: containment, incidents, enrolment. */
export function changeRoutes(app: Hono<Env>, deps: Deps): void {
  const post = postRoute(app, deps);
  post("/assets/:id/isolate", mayRespond, changeAsset("isolate"));
  post("/assets/:id/release", mayRespond, changeAsset("release"));
  post("/incidents/:id/acknowledge", mayHandle, answerIncident("acknowledge"));
  post("/incidents/:id/resolve", mayHandle, answerIncident("resolve"));
  post("/incidents/acknowledge", mayHandle, acknowledgeMany, BULK_FORM);
  post("/enrol", mayEnrol, enrol);
  post("/enrol/:id/revoke", mayEnrol, revokeToken);
  app.get("/enrol/:id/revoke", (c) => c.redirect("/enrol", 302));
  // Who reloads the answer to a form by its address finds the page the form was on.
  for (const [place, action] of [
    ["assets", "isolate"],
    ["assets", "release"],
    ["incidents", "acknowledge"],
    ["incidents", "resolve"],
  ]) {
    app.get(`/${place}/:id/${action}`, (c) => c.redirect(returnPath(`/${place}/${c.req.param("id")}`), 302));
  }
}

export const mayHandle = (admin: Admin): boolean => may(admin, "handle-incidents");

function changeAsset(action: "isolate" | "release"): FormAnswer {
  return async (c, fields, deps) => {
    const { admin } = c.var;
    const id = assetId.safeParse(c.req.param("id"));
    if (!id.success) return sendFailure(c, refuse("admin.not-found"), deps);
    const form = (action === "isolate" ? isolateForm : releaseForm).safeParse(fields);
    if (!form.success) {
      const told = await assetPage(admin, id.data, deps, { draft: draftOf(fields, form.error) });
      return told ? sendPage(c, told, 400) : sendFailure(c, refuse("admin.not-found"), deps);
    }
    const { key, justification, ...more } = form.data;
    const { mode, breakGlass, stopEnginesBy } = more as Partial<z.infer<typeof isolateForm>>;
    const { admin: _admin, ...origin } = askerOf(c, key, deps);
    const how = { ...(mode && { mode }), ...(stopEnginesBy && { stopEnginesBy }) };
    const asked = { justification, ...how, breakGlass: breakGlass === "yes" };
    const changed = await changeContainment(admin, { assetId: id.data, action, ...asked, ...origin }, deps);
    if (changed.ok) {
      const isWaiting = changed.value.result.approvalId !== undefined;
      return c.redirect(`/assets/${id.data}?done=${isWaiting ? "waiting" : action}`, 303);
    }
    if (changed.code !== "admin.conflict" && changed.code !== "admin.capped")
      return sendFailure(c, changed, deps);
    const told = await assetPage(admin, id.data, deps, { notice: unchanged(changed.detail) });
    return told
      ? sendPage(c, told, changed.code === "admin.capped" ? 429 : 409)
      : sendFailure(c, refuse("admin.not-found"), deps);
  };
}

function answerIncident(action: "acknowledge" | "resolve"): FormAnswer {
  return async (c, fields, deps) => {
    const { admin } = c.var;
    const id = incidentName.safeParse(c.req.param("id"));
    if (!id.success) return sendFailure(c, refuse("admin.not-found"), deps);
    // To acknowledge needs no reason; whatever is given for one is refused by the strict form before.
    const form = action === "acknowledge" ? acknowledgeForm.safeParse(fields) : resolveForm.safeParse(fields);
    if (!form.success) {
      const told = await incidentPage(admin, id.data, deps, { draft: draftOf(fields, form.error) });
      return told ? sendPage(c, told, 400) : sendFailure(c, refuse("admin.not-found"), deps);
    }
    const asker = askerOf(c, form.data.key, deps);
    const { justification: reason } = form.data as { justification?: string };
    const answered =
      reason === undefined
        ? await acknowledgeIncidents(asker, { ids: [id.data] }, deps)
        : await resolveIncident(asker, { id: id.data, reason }, deps);
    if (answered.ok) return c.redirect(`/incidents/${id.data}?done=${action}`, 303);
    if (answered.code !== "admin.conflict") return sendFailure(c, answered, deps);
    const told = await incidentPage(admin, id.data, deps, { notice: unchanged(answered.detail) });
    return told ? sendPage(c, told, 409) : sendFailure(c, refuse("admin.not-found"), deps);
  };
}

/** Shown at once and not after a redirect: the token must stand in no address and in no store. */
async function enrol(c: Context<Env>, fields: Fields, deps: Deps): Promise<Response> {
  const origin = siteOrigin(c.req.raw, deps);
  const form = enrolmentForm.safeParse(fields);
  if (!form.success) return sendPage(c, await enrolmentPage(c.var.admin, deps, { origin, wrong: true }), 400);
  const { uses, days, key } = form.data;
  const made = await createEnrolmentToken(askerOf(c, key, deps), { uses, hours: days * 24 }, deps);
  if (!made.ok) return sendFailure(c, made, deps);
  return sendPage(c, await enrolmentPage(c.var.admin, deps, { origin, issued: made.value }), 201);
}

async function revokeToken(c: Context<Env>, fields: Fields, deps: Deps): Promise<Response> {
  const params = tokenParams.safeParse({ tokenId: c.req.param("id") });
  if (!params.success) return sendFailure(c, refuse("admin.not-found"), deps);
  const origin = siteOrigin(c.req.raw, deps);
  const form = resolveForm.safeParse(fields);
  if (!form.success) {
    const notice = unchanged("give a reason of 3 to 200 characters");
    return sendPage(c, await enrolmentPage(c.var.admin, deps, { origin, notice }), 400);
  }
  const { key, justification } = form.data;
  const asked = { tokenId: params.data.tokenId, justification };
  const done = await revokeEnrolmentToken(askerOf(c, key, deps), asked, deps);
  if (done.ok) return c.redirect("/enrol?done=token-revoked", 303);
  if (done.code !== "admin.conflict") return sendFailure(c, done, deps);
  const notice = unchanged(done.detail);
  return sendPage(c, await enrolmentPage(c.var.admin, deps, { origin, notice }), 409);
}

const BULK_FORM = { bytesMax: 12 * 1024, fieldsMax: BULK_INCIDENTS_MAX + 2 };

/** Every box that was ticked names its incident and when that was opened: another opening has another key. */
async function acknowledgeMany(c: Context<Env>, fields: Fields, deps: Deps): Promise<Response> {
  const { admin } = c.var;
  const { csrf: _csrf, ...ticked } = fields;
  const ids = Object.keys(ticked).sort();
  if (ids.length === 0 || ids.length > BULK_INCIDENTS_MAX) {
    const words = `Nothing was changed: choose 1 to ${BULK_INCIDENTS_MAX} incidents.`;
    return sendPage(c, await incidentsPage(admin, {}, deps, { notice: { tone: "warning", words } }), 400);
  }
  if (!ids.every((id) => incidentName.safeParse(id).success))
    return sendFailure(c, refuse("admin.invalid"), deps);
  const about = ids.flatMap((id) => [id, ticked[id]!]);
  const key = await changeKey(admin, ["acknowledge-many", ...about], deps);
  const done = await acknowledgeIncidents(askerOf(c, key, deps), { ids }, deps);
  if (done.ok) return c.redirect("/incidents?done=acknowledge-many", 303);
  if (done.code !== "admin.conflict") return sendFailure(c, done, deps);
  return sendPage(c, await incidentsPage(admin, {}, deps, { notice: unchanged(done.detail) }), 409);
}
