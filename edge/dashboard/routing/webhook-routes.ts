import type { Context, Hono } from "hono";
import { z } from "zod";
import { slug } from "../../../shared/ids.ts";
import { WEBHOOK_EVENTS, webhook } from "../../../shared/table/items/webhook.ts";
import { refuse } from "../../../shared/verdict.ts";
import { isoTimestamp } from "../../../shared/wire/text.ts";
import { cursor, deliveryParams } from "../../api/request-schemas.ts";
import type { Refused } from "../../control/custody/change-plan.ts";
import { testWebhook } from "../../control/webhooks/list-deliveries.ts";
import {
  changeWebhook,
  createWebhook,
  deleteWebhook,
  rotateWebhookSecret,
} from "../../control/webhooks/manage-webhooks.ts";
import { resendDeadDeliveries, resendDelivery } from "../../control/webhooks/resend-deliveries.ts";
import { siteOrigin } from "../../http/public-origin.ts";
import type { Env } from "../../request-env.ts";
import type { DashboardDeps } from "../deps.ts";
import { DELIVERY_STATES } from "../integrations/delivery-table.tsx";
import { integrationsPage, mayIntegrate, type WebhookAnswer } from "../integrations/integrations-page.tsx";
import { type WebhookPageAnswer, type WebhookQuery, webhookPage } from "../integrations/webhook-page.tsx";
import { acknowledgeForm, resolveForm } from "./parse-form.ts";
import { askerOf, type Fields, idParams, postRoute, unchanged } from "./post-route.ts";
import { sendFailure, sendPage } from "./render-response.ts";

/** Limits of a webhook form. They allow a percent-encoded URL of 2000 characters, and one checkbox for each event. */
const TERMS_FORM = { bytesMax: 12 * 1024, fieldsMax: WEBHOOK_EVENTS.length + 4 };

const termsForm = acknowledgeForm.extend({ url: webhook.shape.url }).loose();
const resendForm = acknowledgeForm.extend({
  event: deliveryParams.shape.eventId,
  recordedAt: isoTimestamp,
  state: z.enum(DELIVERY_STATES).optional(),
});
const resendDeadForm = acknowledgeForm.extend({ cursor: cursor.optional() });
const removeForm = acknowledgeForm.extend({ confirm: z.literal("yes") });

/**
 * Adds the form routes for webhooks. A new secret is only in the response to the form, never in a URL or in
 * the table.
 */
export function webhookRoutes(app: Hono<Env>, deps: DashboardDeps): void {
  const post = postRoute(app, deps);
  const right = mayIntegrate;
  const ofWebhook = { right, params: idParams(slug) };
  const terms = { form: termsForm, limits: TERMS_FORM };
  post("/integrations/webhooks", { right, ...terms, handle: create, invalid: showCreateDraft });
  post("/integrations/:id", { ...ofWebhook, ...terms, handle: change, invalid: showChangeDraft });
  post("/integrations/:id/test", { ...ofWebhook, form: acknowledgeForm, handle: test });
  post("/integrations/:id/resend", { ...ofWebhook, form: resendForm, handle: resend });
  post("/integrations/:id/resend-dead", { ...ofWebhook, form: resendDeadForm, handle: resendDead });
  const reason = showUnchanged("enter a reason of 3 to 200 characters");
  post("/integrations/:id/rotate", { ...ofWebhook, form: resolveForm, handle: rotate, invalid: reason });
  const confirmation = showUnchanged("select the checkbox to confirm");
  post("/integrations/:id/delete", { ...ofWebhook, form: removeForm, handle: remove, invalid: confirmation });
  app.get("/integrations/webhooks", (c) => c.redirect("/integrations", 302));
  for (const action of ["test", "resend", "resend-dead", "rotate", "delete"])
    app.get(`/integrations/:id/${action}`, (c) => c.redirect("/integrations", 302));
}

const eventsOf = (fields: Fields) => WEBHOOK_EVENTS.filter((kind) => fields[`event-${kind}`] === "yes");

const sendIntegrations = async (
  c: Context<Env>,
  deps: DashboardDeps,
  answer: WebhookAnswer,
  status: 200 | 201 | 400 | 409,
) => {
  const origin = siteOrigin(c.req.raw, deps);
  return sendPage(c, await integrationsPage(c.var.admin, deps, { origin, ...answer }), status);
};

const wordsOf = ({ detail }: Refused): string => detail ?? "the current state does not allow it";
const INVALID_URL = "enter an http or https address of at most 2000 characters";

type Terms = { fields: Fields; form: z.infer<typeof termsForm> };
type OfOne<Form extends z.ZodType> = { params: { id: string }; form: z.infer<Form> };
type Wrong = { params: { id: string }; fields: Fields };

const draftOf = (fields: Fields, wrong: string) => ({ url: (fields.url ?? "").slice(0, 2000), wrong });

const showCreateDraft = (c: Context<Env>, { fields }: { fields: Fields }, deps: DashboardDeps) =>
  sendIntegrations(c, deps, { draft: draftOf(fields, INVALID_URL) }, 400);

async function create(c: Context<Env>, { fields, form }: Terms, deps: DashboardDeps): Promise<Response> {
  const { key, url } = form;
  const made = await createWebhook(askerOf(c, key, deps), { url, events: eventsOf(fields) }, deps);
  if (made.ok)
    return sendIntegrations(c, deps, { secret: { ...made.value, secret: made.value.secret } }, 201);
  if (made.code === "admin.invalid" || made.code === "admin.conflict")
    return sendIntegrations(c, deps, { draft: draftOf(fields, wordsOf(made)) }, 400);
  return sendFailure(c, made, deps);
}

/** Sends the page of the webhook, with the result of a form. */
async function sendWebhook(
  c: Context<Env>,
  webhookId: string,
  deps: DashboardDeps,
  answer: WebhookPageAnswer,
  status: 200 | 400 | 409,
  query: WebhookQuery = {},
): Promise<Response> {
  const page = await webhookPage(c.var.admin, webhookId, query, deps, answer);
  return page ? sendPage(c, page, status) : sendFailure(c, refuse("admin.not-found"), deps);
}

const showChangeDraft = (c: Context<Env>, { params, fields }: Wrong, deps: DashboardDeps) =>
  sendWebhook(c, params.id, deps, { draft: draftOf(fields, INVALID_URL) }, 400);

const showUnchanged =
  (fix: string) =>
  (c: Context<Env>, { params }: Wrong, deps: DashboardDeps) =>
    sendWebhook(c, params.id, deps, { notice: unchanged(fix) }, 400);

async function change(
  c: Context<Env>,
  { params, fields, form }: Terms & Wrong,
  deps: DashboardDeps,
): Promise<Response> {
  const { key, url } = form;
  const terms = { webhookId: params.id, url, events: eventsOf(fields) };
  const done = await changeWebhook(askerOf(c, key, deps), terms, deps);
  if (done.ok) return c.redirect(`/integrations/${params.id}?done=webhook`, 303);
  if (done.code !== "admin.invalid") return sendFailure(c, done, deps);
  return sendWebhook(c, params.id, deps, { draft: draftOf(fields, wordsOf(done)) }, 400);
}

async function test(c: Context<Env>, { params, form }: OfOne<typeof acknowledgeForm>, deps: DashboardDeps) {
  const tested = await testWebhook(askerOf(c, form.key, deps), params.id, deps);
  if (!tested.ok) return sendFailure(c, tested, deps);
  return sendWebhook(c, params.id, deps, { tested: tested.value }, 200);
}

async function resend(c: Context<Env>, { params, form }: OfOne<typeof resendForm>, deps: DashboardDeps) {
  const { key, event: eventId, recordedAt, state } = form;
  const asked = { webhookId: params.id, eventId, recordedAt };
  const done = await resendDelivery(askerOf(c, key, deps), asked, deps);
  if (done.ok) {
    const query = new URLSearchParams({ ...(state && { state }), done: "resent" });
    return c.redirect(`/integrations/${params.id}?${query}`, 303);
  }
  if (done.code !== "admin.conflict") return sendFailure(c, done, deps);
  return sendWebhook(c, params.id, deps, { notice: unchanged(done.detail) }, 409, { state });
}

async function resendDead(
  c: Context<Env>,
  { params, form }: OfOne<typeof resendDeadForm>,
  deps: DashboardDeps,
) {
  const { key, cursor } = form;
  const done = await resendDeadDeliveries(askerOf(c, key, deps), { webhookId: params.id, cursor }, deps);
  if (!done.ok) return sendFailure(c, done, deps);
  return sendWebhook(c, params.id, deps, { resent: done.value }, 200, { state: "dead" });
}

async function rotate(c: Context<Env>, { params, form }: OfOne<typeof resolveForm>, deps: DashboardDeps) {
  const { key, justification } = form;
  const asked = { webhookId: params.id, justification };
  const done = await rotateWebhookSecret(askerOf(c, key, deps), asked, deps);
  if (!done.ok) return sendFailure(c, done, deps);
  return sendIntegrations(c, deps, { secret: { webhookId: params.id, secret: done.value.secret } }, 200);
}

async function remove(c: Context<Env>, { params, form }: OfOne<typeof removeForm>, deps: DashboardDeps) {
  const done = await deleteWebhook(askerOf(c, form.key, deps), { webhookId: params.id }, deps);
  if (!done.ok) return sendFailure(c, done, deps);
  return c.redirect("/integrations?done=webhook-deleted", 303);
}
