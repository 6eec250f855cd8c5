import type { Context, Hono } from "hono";
import { z } from "zod";
import { slug } from "../../shared/ids.ts";
import { refuse } from "../../shared/refusal.ts";
import { WEBHOOK_EVENTS, webhook } from "../../shared/table/items/webhook.ts";
import { isoTimestamp } from "../../shared/wire/text.ts";
import type { Refused } from "../admin/commit.ts";
import { cursor, deliveryParams } from "../admin/inputs.ts";
import { resendDeadDeliveries, resendDelivery } from "../admin/resend-deliveries.ts";
import { testWebhook } from "../admin/webhook-deliveries.ts";
import { changeWebhook, createWebhook, deleteWebhook, rotateWebhookSecret } from "../admin/webhooks.ts";
import type { Env } from "../answer.ts";
import type { Deps } from "../deps.ts";
import { siteOrigin } from "../public-origin.ts";
import { acknowledgeForm, resolveForm } from "./forms.ts";
import { integrationsPage, mayIntegrate, type WebhookAnswer } from "./integrations.tsx";
import { askerOf, type Fields, type FormAnswer, postRoute, unchanged } from "./post-route.ts";
import { sendFailure, sendPage } from "./respond.ts";
import { DELIVERY_STATES, type WebhookPageAnswer, type WebhookQuery, webhookPage } from "./webhook.tsx";

/** A URL of 2000 characters, percent-encoded, with a box for each event. */
const TERMS_FORM = { bytesMax: 12 * 1024, fieldsMax: WEBHOOK_EVENTS.length + 4 };

const termsForm = acknowledgeForm.extend({ url: webhook.shape.url }).loose();
const resendForm = acknowledgeForm.extend({
  event: deliveryParams.shape.eventId,
  recordedAt: isoTimestamp,
  state: z.enum(DELIVERY_STATES).optional(),
});
const resendDeadForm = acknowledgeForm.extend({ cursor: cursor.optional() });
const removeForm = acknowledgeForm.extend({ confirm: z.literal("yes") });

/** Webhooks by form. A secret is in the answer to the form itself: in no address and in no store. */
export function webhookRoutes(app: Hono<Env>, deps: Deps): void {
  const post = postRoute(app, deps);
  post("/integrations/webhooks", mayIntegrate, create, TERMS_FORM);
  post("/integrations/:id", mayIntegrate, ofOne(change), TERMS_FORM);
  post("/integrations/:id/test", mayIntegrate, ofOne(test));
  post("/integrations/:id/resend", mayIntegrate, ofOne(resend));
  post("/integrations/:id/resend-dead", mayIntegrate, ofOne(resendDead));
  post("/integrations/:id/rotate", mayIntegrate, ofOne(rotate));
  post("/integrations/:id/delete", mayIntegrate, ofOne(remove));
  app.get("/integrations/webhooks", (c) => c.redirect("/integrations", 302));
  for (const action of ["test", "resend", "resend-dead", "rotate", "delete"])
    app.get(`/integrations/:id/${action}`, (c) => c.redirect("/integrations", 302));
}

const eventsOf = (fields: Fields) => WEBHOOK_EVENTS.filter((kind) => fields[`event-${kind}`] === "yes");

const sendIntegrations = async (
  c: Context<Env>,
  deps: Deps,
  answer: WebhookAnswer,
  status: 200 | 201 | 400 | 409,
) => {
  const origin = siteOrigin(c.req.raw, deps);
  return sendPage(c, await integrationsPage(c.var.admin, deps, { origin, ...answer }), status);
};

const wordsOf = ({ detail }: Refused): string => detail ?? "the current state does not allow it";
const NO_URL = "the address is no http or https address of at most 2000 characters";

const create: FormAnswer = async (c, fields, deps) => {
  const form = termsForm.safeParse(fields);
  const draft = (wrong: string) => ({ url: (fields.url ?? "").slice(0, 2000), wrong });
  if (!form.success) return sendIntegrations(c, deps, { draft: draft(NO_URL) }, 400);
  const { key, url } = form.data;
  const made = await createWebhook(askerOf(c, key, deps), { url, events: eventsOf(fields) }, deps);
  if (made.ok)
    return sendIntegrations(c, deps, { secret: { ...made.value, secret: made.value.secret } }, 201);
  if (made.code === "admin.invalid" || made.code === "admin.conflict")
    return sendIntegrations(c, deps, { draft: draft(wordsOf(made)) }, 400);
  return sendFailure(c, made, deps);
};

type OfOne = (c: Context<Env>, webhookId: string, fields: Fields, deps: Deps) => Promise<Response>;

const ofOne =
  (verb: OfOne): FormAnswer =>
  async (c, fields, deps) => {
    const id = slug.safeParse(c.req.param("id"));
    return id.success ? verb(c, id.data, fields, deps) : sendFailure(c, refuse("admin.not-found"), deps);
  };

/** The webhook's own page, with what the form came to. */
async function sendWebhook(
  c: Context<Env>,
  webhookId: string,
  deps: Deps,
  answer: WebhookPageAnswer,
  status: 200 | 400 | 409,
  query: WebhookQuery = {},
): Promise<Response> {
  const told = await webhookPage(c.var.admin, webhookId, query, deps, answer);
  return told ? sendPage(c, told, status) : sendFailure(c, refuse("admin.not-found"), deps);
}

const change: OfOne = async (c, webhookId, fields, deps) => {
  const form = termsForm.safeParse(fields);
  const draft = (wrong: string) => ({ url: (fields.url ?? "").slice(0, 2000), wrong });
  if (!form.success) return sendWebhook(c, webhookId, deps, { draft: draft(NO_URL) }, 400);
  const { key, url } = form.data;
  const terms = { webhookId, url, events: eventsOf(fields) };
  const done = await changeWebhook(askerOf(c, key, deps), terms, deps);
  if (done.ok) return c.redirect(`/integrations/${webhookId}?done=webhook`, 303);
  if (done.code !== "admin.invalid") return sendFailure(c, done, deps);
  return sendWebhook(c, webhookId, deps, { draft: draft(wordsOf(done)) }, 400);
};

const test: OfOne = async (c, webhookId, fields, deps) => {
  const form = acknowledgeForm.safeParse(fields);
  if (!form.success) return sendFailure(c, refuse("admin.invalid"), deps);
  const tested = await testWebhook(askerOf(c, form.data.key, deps), webhookId, deps);
  if (!tested.ok) return sendFailure(c, tested, deps);
  return sendWebhook(c, webhookId, deps, { tested: tested.value }, 200);
};

const resend: OfOne = async (c, webhookId, fields, deps) => {
  const form = resendForm.safeParse(fields);
  if (!form.success) return sendFailure(c, refuse("admin.invalid"), deps);
  const { key, event: eventId, recordedAt, state } = form.data;
  const done = await resendDelivery(askerOf(c, key, deps), { webhookId, eventId, recordedAt }, deps);
  if (done.ok) {
    const query = new URLSearchParams({ ...(state && { state }), done: "resent" });
    return c.redirect(`/integrations/${webhookId}?${query}`, 303);
  }
  if (done.code !== "admin.conflict") return sendFailure(c, done, deps);
  return sendWebhook(c, webhookId, deps, { notice: unchanged(done.detail) }, 409, { state });
};

const resendDead: OfOne = async (c, webhookId, fields, deps) => {
  const form = resendDeadForm.safeParse(fields);
  if (!form.success) return sendFailure(c, refuse("admin.invalid"), deps);
  const { key, cursor } = form.data;
  const done = await resendDeadDeliveries(askerOf(c, key, deps), { webhookId, cursor }, deps);
  if (!done.ok) return sendFailure(c, done, deps);
  return sendWebhook(c, webhookId, deps, { resent: done.value }, 200, { state: "dead" });
};

const rotate: OfOne = async (c, webhookId, fields, deps) => {
  const form = resolveForm.safeParse(fields);
  if (!form.success)
    return sendWebhook(
      c,
      webhookId,
      deps,
      { notice: unchanged("give a reason of 3 to 200 characters") },
      400,
    );
  const { key, justification } = form.data;
  const done = await rotateWebhookSecret(askerOf(c, key, deps), { webhookId, justification }, deps);
  if (!done.ok) return sendFailure(c, done, deps);
  return sendIntegrations(c, deps, { secret: { webhookId, secret: done.value.secret } }, 200);
};

const remove: OfOne = async (c, webhookId, fields, deps) => {
  const form = removeForm.safeParse(fields);
  if (!form.success)
    return sendWebhook(c, webhookId, deps, { notice: unchanged("confirm that you mean it") }, 400);
  const done = await deleteWebhook(askerOf(c, form.data.key, deps), { webhookId }, deps);
  if (!done.ok) return sendFailure(c, done, deps);
  return c.redirect("/integrations?done=webhook-deleted", 303);
};
