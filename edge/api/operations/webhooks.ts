import { z } from "zod";
import { webhook } from "../../../shared/table/items/webhook.ts";
import { refuse } from "../../../shared/verdict.ts";
import { isoTimestamp } from "../../../shared/wire/text.ts";
import type { Decision } from "../../control/custody/change-plan.ts";
import { justified } from "../../control/justification.ts";
import {
  listDeliveries,
  listWebhooks,
  readWebhook,
  testWebhook,
} from "../../control/webhooks/list-deliveries.ts";
import {
  changeWebhook,
  createWebhook,
  deleteWebhook,
  ROTATION_HOURS,
  rotateWebhookSecret,
} from "../../control/webhooks/manage-webhooks.ts";
import {
  RESENT_MAX,
  resendDeadDeliveries,
  resendDelivery,
} from "../../control/webhooks/resend-deliveries.ts";
import {
  deliveryView,
  madeWebhookView,
  resentView,
  webhookView,
} from "../../control/webhooks/webhook-views.ts";
import { type Outcome, operation } from "../define-operation.ts";
import type { ApiDeps } from "../deps.ts";
import { cursor, deliveryParams, page, pageFrom, webhookParams } from "../request-schemas.ts";
import { pageOf } from "../response-schemas.ts";

/** A webhook's URL can contain a secret, so reading a webhook needs the same permission as changing one. */
const common = { tag: "Webhooks", needs: "manage-settings" } as const;
const one = { ...common, params: webhookParams } as const;

const terms = z.strictObject({
  url: webhook.shape.url.meta({
    description:
      "https URL of a public host. Redirects are not followed. Private addresses are refused here and before each delivery.",
  }),
  events: webhook.shape.events.meta({
    description: "Events that the webhook receives. If the list is empty, it receives all events.",
  }),
});

const list = operation({
  ...common,
  id: "listWebhooks",
  method: "get",
  path: "/webhooks",
  summary: "List webhooks with their health",
  success: 200,
  answer: z.object({ items: z.array(webhookView) }),
  run: async ({ admin }, deps) => ({
    ok: true,
    value: { body: { items: await listWebhooks(deps, admin.tenantId) } },
  }),
});

const create = operation({
  ...common,
  id: "createWebhook",
  method: "post",
  path: "/webhooks",
  summary: "Add a webhook",
  description:
    "Deliveries are signed as in the Standard Webhooks specification, with HMAC-SHA256 over id, time and body. Only the first response contains the secret.",
  body: terms,
  success: 201,
  answer: madeWebhookView,
  async run({ admin, body, asker }, deps) {
    return withWebhook(admin.tenantId, await createWebhook(asker, body, deps), deps);
  },
});

const read = operation({
  ...one,
  id: "getWebhook",
  method: "get",
  path: "/webhooks/{webhookId}",
  summary: "Read a webhook with its health",
  success: 200,
  answer: webhookView,
  run: ({ admin, params }, deps) => answer(admin.tenantId, params.webhookId, deps),
});

const change = operation({
  ...one,
  id: "changeWebhook",
  method: "put",
  path: "/webhooks/{webhookId}",
  summary: "Replace the URL and the events of a webhook",
  description: "The secret stays the same.",
  body: terms,
  success: 200,
  answer: webhookView,
  async run({ admin, params: { webhookId }, body, asker }, deps) {
    const done = await changeWebhook(asker, { webhookId, ...body }, deps);
    return done.ok ? answer(admin.tenantId, webhookId, deps) : done;
  },
});

const remove = operation({
  ...one,
  id: "deleteWebhook",
  method: "delete",
  path: "/webhooks/{webhookId}",
  summary: "Delete a webhook",
  description: "Pending deliveries to the webhook are dropped.",
  success: 200,
  answer: z.object({ webhookId: z.string() }),
  async run({ params, asker }, deps) {
    const done = await deleteWebhook(asker, params, deps);
    return done.ok ? { ok: true, value: { body: done.value.result } } : done;
  },
});

const rotate = operation({
  ...one,
  id: "rotateWebhookSecret",
  method: "post",
  path: "/webhooks/{webhookId}/rotate-secret",
  summary: "Replace the secret of a webhook",
  description: `Only the first response contains the new secret. For ${ROTATION_HOURS} hours, deliveries have two signatures: one with the new secret and one with the previous secret.`,
  body: justified,
  success: 200,
  answer: madeWebhookView,
  async run({ admin, params, body, asker }, deps) {
    return withWebhook(admin.tenantId, await rotateWebhookSecret(asker, { ...params, ...body }, deps), deps);
  },
});

const test = operation({
  ...one,
  id: "testWebhook",
  method: "post",
  path: "/webhooks/{webhookId}/test",
  summary: "Send a test event to a webhook and return the result",
  description:
    "The worker signs the test event like any other event, and makes one attempt to deliver it. The result is `delivered` or `dead`. `waiting` means that there was no result within eight seconds. Repeat the same request to check again, which does not send a second test.",
  success: 200,
  answer: deliveryView,
  async run({ params: { webhookId }, asker }, deps) {
    const done = await testWebhook(asker, webhookId, deps);
    return done.ok ? { ok: true, value: { body: done.value } } : done;
  },
});

const deliveries = operation({
  ...one,
  id: "listDeliveries",
  method: "get",
  path: "/webhooks/{webhookId}/deliveries",
  summary: "List the deliveries of a webhook, newest first",
  query: page.extend({ state: z.enum(["waiting", "delivered", "dead"]).optional() }),
  success: 200,
  answer: pageOf(deliveryView),
  async run({ admin: { tenantId }, params: { webhookId }, query }, deps) {
    if (!(await readWebhook(deps, tenantId, webhookId))) return refuse("admin.not-found");
    const wanted = { webhookId, state: query.state };
    return { ok: true, value: { body: await listDeliveries(deps, tenantId, wanted, pageFrom(query)) } };
  },
});

const resend = operation({
  ...common,
  id: "resendDelivery",
  method: "post",
  path: "/webhooks/{webhookId}/deliveries/{eventId}/resend",
  params: deliveryParams,
  summary: "Resend a failed delivery",
  description:
    "Sends the event immediately with the same event id, and resets the number of attempts. The request is refused with 409 for a delivery that is waiting or was delivered, for a test, and for an event that the webhook no longer receives. The response then contains the delivery in `current`.",
  body: z.strictObject({
    recordedAt: isoTimestamp.meta({ description: "Value of `recordedAt` in the list of deliveries." }),
  }),
  success: 202,
  answer: deliveryView,
  async run({ params, body, asker }, deps) {
    const done = await resendDelivery(asker, { ...params, ...body }, deps);
    return done.ok ? { ok: true, value: { body: done.value } } : done;
  },
});

const resendDead = operation({
  ...one,
  id: "resendDeadDeliveries",
  method: "post",
  path: "/webhooks/{webhookId}/resend-dead",
  summary: "Resend all failed deliveries of a webhook",
  description: `Resends at most ${RESENT_MAX} deliveries per request like \`resendDelivery\`, starting with the oldest. Tests and events that the webhook no longer receives are left out. Each request reads a limited number of events. If the response has a \`cursor\`, there may be more failed deliveries, even if this request resent none.`,
  body: z.strictObject({
    cursor: cursor.optional().meta({ description: "Cursor from the previous response." }),
  }),
  success: 202,
  answer: resentView,
  async run({ params, body, asker }, deps) {
    const done = await resendDeadDeliveries(asker, { ...params, ...body }, deps);
    return done.ok ? { ok: true, value: { body: done.value } } : done;
  },
});

async function answer(tenantId: string, webhookId: string, deps: ApiDeps): Promise<Outcome> {
  const body = await readWebhook(deps, tenantId, webhookId);
  return body ? { ok: true, value: { body } } : refuse("admin.not-found");
}

/**
 * Responds with the webhook. The secret is only in the first response to a request, not in responses to its
 * repeats.
 */
async function withWebhook(
  tenantId: string,
  done: Decision<{ webhookId: string; secret?: string }>,
  deps: ApiDeps,
): Promise<Outcome> {
  if (!done.ok) return done;
  const { webhookId, secret } = done.value;
  const webhook = await readWebhook(deps, tenantId, webhookId);
  if (!webhook) return refuse("admin.not-found");
  return { ok: true, value: { body: { ...(secret !== undefined && { secret }), webhook } } };
}

export const webhookOperations = [
  list,
  create,
  read,
  change,
  remove,
  rotate,
  test,
  deliveries,
  resend,
  resendDead,
];
