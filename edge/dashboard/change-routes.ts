import type { Context, Hono } from "hono";
import { canonicalJson } from "../../shared/canonical-json.ts";
import { assetId } from "../../shared/ids.ts";
import { accept, refuse, type Verdict } from "../../shared/refusal.ts";
import { acknowledgeIncidents, BULK_INCIDENTS_MAX, resolveIncident } from "../admin/answer-incidents.ts";
import { type Admin, authenticate, may, mayRespond } from "../admin/authenticate.ts";
import { changeContainment } from "../admin/change-containment.ts";
import { changePolicy, changeSettings, readPolicy, readSettings } from "../admin/change-tenant.ts";
import type { Asker } from "../admin/commit.ts";
import { createEnrolmentToken } from "../admin/enrolment-tokens.ts";
import { incidentName } from "../admin/inputs.ts";
import type { Env } from "../answer.ts";
import type { Deps } from "../deps.ts";
import { assetPage, type Notice } from "./asset.tsx";
import { changeKey, isCsrfToken, isSameSite } from "./csrf.ts";
import { enrolmentForm, enrolmentPage, mayEnrol } from "./enrolment.tsx";
import { acknowledgeForm, draftOf, isolateForm, readForm, releaseForm, resolveForm } from "./forms.ts";
import { incidentPage } from "./incident.tsx";
import { incidentsPage } from "./incidents.tsx";
import { mayConfigure, policyPage } from "./policy.tsx";
import { sendFailure, sendPage, sendStranger } from "./respond.ts";
import { homeOrigin, returnPath } from "./return-path.ts";
import { settingsPage } from "./settings.tsx";
import {
  POLICY_FORM,
  policyFromForm,
  policyFromJson,
  type Read,
  settingsFromForm,
  versionedForm,
} from "./tenant-forms.ts";

/** Said after a change, by code: no text of an address is ever shown. */
const NOTICES: Readonly<Record<string, Notice>> = {
  isolate: {
    tone: "ok",
    words: "Isolation requested and recorded. Whether it holds is what the steps below prove.",
  },
  waiting: {
    tone: "ok",
    words: "Recorded, and nothing is isolated yet: a second person has to approve it within the hour.",
  },
  release: {
    tone: "ok",
    words: "Release requested and recorded. Whether it is done is what the steps below prove.",
  },
  acknowledge: { tone: "ok", words: "Acknowledged and recorded. The incident stays open." },
  "acknowledge-many": {
    tone: "ok",
    words: "Acknowledged and recorded, each by itself. What somebody had answered before was left as it was.",
  },
  policy: { tone: "ok", words: "Saved and recorded. It counts for every heartbeat from now on." },
  settings: { tone: "ok", words: "Saved and recorded." },
  same: { tone: "ok", words: "It was so already: nothing was changed and nothing recorded." },
  resolve: { tone: "ok", words: "Resolved and recorded. It opens again when its condition is seen again." },
};

export const noticeOf = (code: string | undefined): Notice | undefined =>
  code !== undefined && Object.hasOwn(NOTICES, code) ? NOTICES[code] : undefined;

/** Everything the pages can change. Each is a form of this site, of this session, of somebody who may. */
export function changeRoutes(app: Hono<Env>, deps: Deps): void {
  const post = (path: string, right: (admin: Admin) => boolean, answer: Answer, limits?: FormLimits) =>
    app.post(path, async (c) => {
      const admin = await authenticate(c.req.raw, deps);
      if (!admin.ok) return sendStranger(c, admin, deps);
      c.set("admin", admin.value);
      const fields = await readOwnForm(c, right, deps, limits);
      if (!fields.ok) return sendFailure(c, fields, deps);
      if (!deps.controlKey) return sendFailure(c, refuse("admin.read-only"), deps);
      return answer(c, fields.value, deps);
    });
  post("/assets/:id/isolate", mayRespond, changeAsset("isolate"));
  post("/assets/:id/release", mayRespond, changeAsset("release"));
  post("/incidents/:id/acknowledge", mayHandle, answerIncident("acknowledge"));
  post("/incidents/:id/resolve", mayHandle, answerIncident("resolve"));
  post("/incidents/acknowledge", mayHandle, acknowledgeMany, BULK_FORM);
  post("/enrol", mayEnrol, enrol);
  post("/policy", mayConfigure, changePolicyByForm, POLICY_FORM);
  post("/settings", mayConfigure, changeSettingsByForm);
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

type Fields = Record<string, string>;
type FormLimits = { bytesMax: number; fieldsMax: number };
type Answer = (c: Context<Env>, fields: Fields, deps: Deps) => Promise<Response>;

/** From where, who may, with which token: only then is anything in the form looked at. */
async function readOwnForm(
  c: Context<Env>,
  right: (admin: Admin) => boolean,
  deps: Deps,
  limits: FormLimits | undefined,
): Promise<Verdict<Fields>> {
  if (!isSameSite(c.req.raw, deps.admin.parties)) return refuse("admin.cross-site");
  if (!right(c.var.admin)) return refuse("admin.forbidden");
  const fields = await readForm(c.req.raw, limits);
  if (!fields.ok) return fields;
  const own = await isCsrfToken(fields.value.csrf ?? "", c.var.admin, deps);
  return own ? accept(fields.value) : refuse("admin.cross-site");
}

const askerOf = (c: Context<Env>, idempotencyKey: string, deps: Deps): Asker => {
  const { admin, requestId } = c.var;
  return { admin, sourceIp: deps.sourceIp(c.req.raw), requestId, idempotencyKey };
};

const unchanged = (detail: string | undefined): Notice => ({
  tone: "warning",
  words: `Nothing was changed: ${detail ?? "the current state does not allow it"}. The current state is below.`,
});

function changeAsset(action: "isolate" | "release"): Answer {
  return async (c, fields, deps) => {
    const { admin } = c.var;
    const id = assetId.safeParse(c.req.param("id"));
    if (!id.success) return sendFailure(c, refuse("admin.not-found"), deps);
    const form = (action === "isolate" ? isolateForm : releaseForm).safeParse(fields);
    if (!form.success) {
      const told = await assetPage(admin, id.data, deps, { draft: draftOf(fields, form.error) });
      return told ? sendPage(c, told, 400) : sendFailure(c, refuse("admin.not-found"), deps);
    }
    const { csrf: _csrf, confirm: _confirm, key, ...asked } = form.data;
    const { admin: _admin, ...origin } = askerOf(c, key, deps);
    const changed = await changeContainment(admin, { assetId: id.data, action, ...asked, ...origin }, deps);
    if (changed.ok) {
      const isWaiting = changed.value.result.approvalId !== undefined;
      return c.redirect(`/assets/${id.data}?done=${isWaiting ? "waiting" : action}`, 303);
    }
    if (changed.code !== "admin.conflict") return sendFailure(c, changed, deps);
    const told = await assetPage(admin, id.data, deps, { notice: unchanged(changed.detail) });
    return told ? sendPage(c, told, 409) : sendFailure(c, refuse("admin.not-found"), deps);
  };
}

function answerIncident(action: "acknowledge" | "resolve"): Answer {
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
  const origin = homeOrigin(c.req.raw, deps.admin.parties);
  const form = enrolmentForm.safeParse(fields);
  if (!form.success) return sendPage(c, await enrolmentPage(c.var.admin, deps, { origin, wrong: true }), 400);
  const { uses, days, key } = form.data;
  const made = await createEnrolmentToken(askerOf(c, key, deps), { uses, hours: days * 24 }, deps);
  if (!made.ok) return sendFailure(c, made, deps);
  return sendPage(c, await enrolmentPage(c.var.admin, deps, { origin, issued: made.value }), 201);
}

const BULK_FORM = { bytesMax: 12 * 1024, fieldsMax: BULK_INCIDENTS_MAX + 2 };

/** Every box that was ticked names its incident and when that was opened: another opening has another key. */
async function acknowledgeMany(c: Context<Env>, fields: Fields, deps: Deps): Promise<Response> {
  const { admin } = c.var;
  const { csrf: _csrf, ...ticked } = fields;
  const ids = Object.keys(ticked).sort();
  if (ids.length === 0 || ids.length > BULK_INCIDENTS_MAX) {
    const words = `Nothing was changed: choose 1 to ${BULK_INCIDENTS_MAX} incidents.`;
    return sendPage(c, await incidentsPage(admin, {}, deps, { tone: "warning", words }), 400);
  }
  if (!ids.every((id) => incidentName.safeParse(id).success))
    return sendFailure(c, refuse("admin.invalid"), deps);
  const about = ids.flatMap((id) => [id, ticked[id]!]);
  const key = await changeKey(admin, ["acknowledge-many", ...about], deps);
  const done = await acknowledgeIncidents(askerOf(c, key, deps), { ids }, deps);
  if (done.ok) return c.redirect("/incidents?done=acknowledge-many", 303);
  if (done.code !== "admin.conflict") return sendFailure(c, done, deps);
  return sendPage(c, await incidentsPage(admin, {}, deps, unchanged(done.detail)), 409);
}

const OVERTAKEN: Notice = {
  tone: "warning",
  words:
    "Nothing was changed: somebody changed it since you read it. What you typed is still here. Open the page in another window to see theirs; saving again here puts yours in its place.",
};
const isOvertaken = (code: string): boolean => code === "admin.outdated" || code === "admin.conflict";

async function changePolicyByForm(c: Context<Env>, fields: Fields, deps: Deps): Promise<Response> {
  const { admin } = c.var;
  const form = versionedForm.safeParse(fields);
  if (!form.success) return sendFailure(c, refuse("admin.invalid"), deps);
  const current = await readPolicy(deps, admin.tenantId);
  const read: Read<typeof current.value> =
    fields.how === "json" ? policyFromJson(fields.policy ?? "") : policyFromForm(fields, current.value);
  if (!read.ok)
    return sendPage(c, await policyPage(admin, deps, { typed: { fields, wrong: read.wrong } }), 400);
  const { version, key } = form.data;
  if (version === current.version && isSame(read.value, current.value))
    return c.redirect("/policy?done=same", 303);
  const changed = await changePolicy(askerOf(c, key, deps), { version, value: read.value }, deps);
  if (changed.ok) return c.redirect("/policy?done=policy", 303);
  if (!isOvertaken(changed.code)) return sendFailure(c, changed, deps);
  return sendPage(c, await policyPage(admin, deps, { notice: OVERTAKEN, typed: { fields, wrong: [] } }), 412);
}

async function changeSettingsByForm(c: Context<Env>, fields: Fields, deps: Deps): Promise<Response> {
  const { admin } = c.var;
  const form = versionedForm.safeParse(fields);
  if (!form.success) return sendFailure(c, refuse("admin.invalid"), deps);
  const current = await readSettings(deps, admin.tenantId);
  const read = settingsFromForm(fields, current.value);
  if (!read.ok)
    return sendPage(c, await settingsPage(admin, deps, { typed: { fields, wrong: read.wrong } }), 400);
  const { version, key } = form.data;
  if (version === current.version && isSame(read.value, current.value))
    return c.redirect("/settings?done=same", 303);
  const changed = await changeSettings(askerOf(c, key, deps), { version, value: read.value }, deps);
  if (changed.ok) return c.redirect("/settings?done=settings", 303);
  if (!isOvertaken(changed.code)) return sendFailure(c, changed, deps);
  return sendPage(
    c,
    await settingsPage(admin, deps, { notice: OVERTAKEN, typed: { fields, wrong: [] } }),
    412,
  );
}

const isSame = (a: object, b: object): boolean => canonicalJson(a) === canonicalJson(b);
