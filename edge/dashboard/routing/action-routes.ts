import type { Context, Hono } from "hono";
import { z } from "zod";
import { assetId } from "../../../shared/ids.ts";
import { refuse } from "../../../shared/verdict.ts";
import { tokenParams } from "../../api/request-schemas.ts";
import { may, mayRespond } from "../../auth/authenticate.ts";
import type { Admin } from "../../auth/permissions.ts";
import { expireAsset } from "../../control/assets/expire-asset.ts";
import { mergeAssets } from "../../control/assets/merge-assets.ts";
import { revokeAsset } from "../../control/assets/revoke-asset.ts";
import { changeContainment } from "../../control/containment/isolate-or-release.ts";
import {
  createEnrolmentToken,
  revokeEnrolmentToken,
} from "../../control/credentials/manage-enrolment-tokens.ts";
import { incidentName } from "../../control/incidents/incident-name.ts";
import {
  acknowledgeIncidents,
  BULK_INCIDENTS_MAX,
  resolveIncident,
} from "../../control/incidents/update-incidents.ts";
import { siteOrigin } from "../../http/public-origin.ts";
import type { Env } from "../../request-env.ts";
import { assetPage } from "../assets/asset-page.tsx";
import { decommissionForm, mayManageAssets } from "../assets/decommission-panel.tsx";
import type { DashboardDeps } from "../deps.ts";
import { enrolmentForm, enrolmentPage, mayEnrol } from "../enrolment/enrolment-page.tsx";
import { incidentsPage } from "../incidents/incident-list-page.tsx";
import { incidentPage } from "../incidents/incident-page.tsx";
import { changeKey } from "../session/csrf.ts";
import { returnPath } from "../session/return-path.ts";
import { acknowledgeForm, draftOf, isolateForm, releaseForm, resolveForm } from "./parse-form.ts";
import { askerOf, type Fields, idParams, postRoute, unchanged } from "./post-route.ts";
import { sendFailure, sendPage } from "./render-response.ts";

/** Adds the form routes for containment, host lifecycle, incidents and enrolment. */
export function actionRoutes(app: Hono<Env>, deps: DashboardDeps): void {
  const post = postRoute(app, deps);
  const ofAsset = { right: mayRespond, params: idParams(assetId), invalid: showAssetDraft };
  post("/assets/:id/isolate", { ...ofAsset, form: isolateForm, handle: changeAsset("isolate") });
  post("/assets/:id/release", { ...ofAsset, form: releaseForm, handle: changeAsset("release") });
  post("/assets/:id/leave", {
    right: mayManageAssets,
    params: idParams(assetId),
    form: decommissionForm,
    handle: decommission,
    async invalid(c, { params, fields, error }, deps) {
      const wrong = draftOf(fields, error).wrong;
      const shown = await assetPage(c.var.admin, params.id, deps, { decommission: { fields, wrong } });
      return shown ? sendPage(c, shown, 400) : sendFailure(c, refuse("admin.not-found"), deps);
    },
  });
  const ofIncident = { right: mayHandle, params: idParams(incidentName), invalid: showIncidentDraft };
  // An acknowledgement has no reason. The strict schema rejects a form that contains one.
  post("/incidents/:id/acknowledge", {
    ...ofIncident,
    form: acknowledgeForm,
    handle: respondToIncident("acknowledge"),
  });
  post("/incidents/:id/resolve", { ...ofIncident, form: resolveForm, handle: respondToIncident("resolve") });
  post("/incidents/acknowledge", {
    right: mayHandle,
    form: z.looseObject({}),
    handle: acknowledgeMany,
    limits: BULK_FORM,
  });
  post("/enrol", {
    right: mayEnrol,
    form: enrolmentForm,
    handle: createToken,
    async invalid(c, _input, deps) {
      const origin = siteOrigin(c.req.raw, deps);
      return sendPage(c, await enrolmentPage(c.var.admin, deps, { origin, wrong: true }), 400);
    },
  });
  post("/enrol/:id/revoke", {
    right: mayEnrol,
    params: z.object({ id: tokenParams.shape.tokenId }),
    form: resolveForm,
    handle: revokeToken,
    async invalid(c, _input, deps) {
      const origin = siteOrigin(c.req.raw, deps);
      const notice = unchanged("enter a reason of 3 to 200 characters");
      return sendPage(c, await enrolmentPage(c.var.admin, deps, { origin, notice }), 400);
    },
  });
  app.get("/enrol/:id/revoke", (c) => c.redirect("/enrol", 302));
  // Forms are posted to these addresses. If the user reloads the response, the browser is redirected to the
  // page of the form.
  for (const [page, action] of [
    ["assets", "isolate"],
    ["assets", "release"],
    ["assets", "leave"],
    ["incidents", "acknowledge"],
    ["incidents", "resolve"],
  ]) {
    app.get(`/${page}/:id/${action}`, (c) => c.redirect(returnPath(`/${page}/${c.req.param("id")}`), 302));
  }
}

const mayHandle = (admin: Admin): boolean => may(admin, "handle-incidents");

type OfOne = { params: { id: string } };
type Wrong = OfOne & { fields: Fields; error: z.ZodError };

async function showAssetDraft(c: Context<Env>, { params, fields, error }: Wrong, deps: DashboardDeps) {
  const shown = await assetPage(c.var.admin, params.id, deps, { draft: draftOf(fields, error) });
  return shown ? sendPage(c, shown, 400) : sendFailure(c, refuse("admin.not-found"), deps);
}

async function showIncidentDraft(c: Context<Env>, { params, fields, error }: Wrong, deps: DashboardDeps) {
  const shown = await incidentPage(c.var.admin, params.id, deps, { draft: draftOf(fields, error) });
  return shown ? sendPage(c, shown, 400) : sendFailure(c, refuse("admin.not-found"), deps);
}

type Containment = z.infer<typeof releaseForm> & Partial<z.infer<typeof isolateForm>>;

function changeAsset(action: "isolate" | "release") {
  return async (c: Context<Env>, { params, form }: OfOne & { form: Containment }, deps: DashboardDeps) => {
    const { admin } = c.var;
    const { key, justification, mode, breakGlass, everyCopy, stopEnginesBy } = form;
    const { admin: _admin, ...origin } = askerOf(c, key, deps);
    const how = { ...(mode && { mode }), ...(stopEnginesBy && { stopEnginesBy }) };
    const asked = { justification, ...how, breakGlass: breakGlass === "yes", everyCopy: everyCopy === "yes" };
    const changed = await changeContainment(admin, { assetId: params.id, action, ...asked, ...origin }, deps);
    if (changed.ok) {
      const isWaiting = changed.value.result.approvalId !== undefined;
      return c.redirect(`/assets/${params.id}?done=${isWaiting ? "waiting" : action}`, 303);
    }
    if (!["admin.conflict", "admin.capped", "admin.copies"].includes(changed.code))
      return sendFailure(c, changed, deps);
    const shown = await assetPage(admin, params.id, deps, { notice: unchanged(changed.detail) });
    return shown
      ? sendPage(c, shown, changed.code === "admin.capped" ? 429 : 409)
      : sendFailure(c, refuse("admin.not-found"), deps);
  };
}

/** Removes a host from the active list, revokes its device key, or merges it into another host. */
async function decommission(
  c: Context<Env>,
  { params, fields, form }: OfOne & { fields: Fields; form: z.infer<typeof decommissionForm> },
  deps: DashboardDeps,
) {
  const asker = askerOf(c, form.key, deps);
  const { how, justification } = form;
  const asked = { assetId: params.id, justification };
  const done =
    how === "merge"
      ? await mergeAssets(
          asker,
          { ...asked, into: form.into!, evenIfActive: form.evenIfActive === "yes" },
          deps,
        )
      : how === "revoke"
        ? await revokeAsset(asker, asked, deps)
        : await expireAsset(asker, asked, deps);
  if (done.ok) return c.redirect(`/assets/${params.id}?done=${how}`, 303);
  if (done.code !== "admin.conflict") return sendFailure(c, done, deps);
  const answer = { notice: unchanged(done.detail), decommission: { fields, wrong: [] } };
  const shown = await assetPage(c.var.admin, params.id, deps, answer);
  return shown ? sendPage(c, shown, 409) : sendFailure(c, refuse("admin.not-found"), deps);
}

type Answered = z.infer<typeof acknowledgeForm> & Partial<z.infer<typeof resolveForm>>;

function respondToIncident(action: "acknowledge" | "resolve") {
  return async (c: Context<Env>, { params, form }: OfOne & { form: Answered }, deps: DashboardDeps) => {
    const asker = askerOf(c, form.key, deps);
    const { justification: reason } = form;
    const answered =
      reason === undefined
        ? await acknowledgeIncidents(asker, { ids: [params.id] }, deps)
        : await resolveIncident(asker, { id: params.id, reason }, deps);
    if (answered.ok) return c.redirect(`/incidents/${params.id}?done=${action}`, 303);
    if (answered.code !== "admin.conflict") return sendFailure(c, answered, deps);
    const shown = await incidentPage(c.var.admin, params.id, deps, { notice: unchanged(answered.detail) });
    return shown ? sendPage(c, shown, 409) : sendFailure(c, refuse("admin.not-found"), deps);
  };
}

/**
 * Creates an enrolment token and shows it in the response to the form. With a redirect, the token would have
 * to be part of a URL or be stored.
 */
async function createToken(
  c: Context<Env>,
  { form }: { form: z.infer<typeof enrolmentForm> },
  deps: DashboardDeps,
) {
  const origin = siteOrigin(c.req.raw, deps);
  const { uses, days, key } = form;
  const made = await createEnrolmentToken(askerOf(c, key, deps), { uses, hours: days * 24 }, deps);
  if (!made.ok) return sendFailure(c, made, deps);
  return sendPage(c, await enrolmentPage(c.var.admin, deps, { origin, issued: made.value }), 201);
}

async function revokeToken(
  c: Context<Env>,
  { params, form }: OfOne & { form: z.infer<typeof resolveForm> },
  deps: DashboardDeps,
) {
  const origin = siteOrigin(c.req.raw, deps);
  const { key, justification } = form;
  const done = await revokeEnrolmentToken(askerOf(c, key, deps), { tokenId: params.id, justification }, deps);
  if (done.ok) return c.redirect("/enrol?done=token-revoked", 303);
  if (done.code !== "admin.conflict") return sendFailure(c, done, deps);
  const notice = unchanged(done.detail);
  return sendPage(c, await enrolmentPage(c.var.admin, deps, { origin, notice }), 409);
}

const BULK_FORM = { bytesMax: 12 * 1024, fieldsMax: BULK_INCIDENTS_MAX + 2 };

/**
 * Acknowledges the selected incidents. Each checkbox sends the incident id and the time at which the incident
 * was opened. This time is part of the idempotency key.
 */
async function acknowledgeMany(
  c: Context<Env>,
  { fields }: { fields: Fields },
  deps: DashboardDeps,
): Promise<Response> {
  const { admin } = c.var;
  const { csrf: _csrf, ...ticked } = fields;
  const ids = Object.keys(ticked).sort();
  if (ids.length === 0 || ids.length > BULK_INCIDENTS_MAX) {
    const words = `Nothing was changed. Select 1 to ${BULK_INCIDENTS_MAX} incidents, then try again.`;
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
