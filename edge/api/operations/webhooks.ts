import { z } from "zod";
import { webhook } from "../../../shared/table/items/webhook.ts";
import { refuse } from "../../../shared/verdict.ts";
import { isoTimestamp } from "../../../shared/wire/text.ts";
import type { Decision } from "../../control/custody/custody-transaction.ts";
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
import type { Deps } from "../../deps.ts";
import { type Outcome, operation } from "../define-operation.ts";
import { cursor, deliveryParams, page, pageFrom, webhookParams } from "../request-schemas.ts";
import { pageOf } from "../response-schemas.ts";

/** A webhook's address may itself be a secret: only who may change it sees it. */
const common = { tag: "Webhooks", needs: "manage-settings" } as const;
const one = { ...common, params: webhookParams } as const;

const terms = z.strictObject({
  url: webhook.shape.url.meta({
    description:
      "https, of a public host. Redirects are not followed; an address inside of a network is refused each time it is sent to.",
  }),
  events: webhook.shape.events.meta({ description: "None: every event." }),
});

const list = operation({
  ...common,
  id: "listWebhooks",
  method: "get",
  path: "/webhooks",
  summary: "List webhooks, each with how it is doing",
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
    "Deliveries follow the Standard Webhooks specification: HMAC-SHA256 over id, time and body under the secret that is in this answer and nowhere else.",
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
  summary: "Read a webhook, with how it is doing",
  success: 200,
  answer: webhookView,
  run: ({ admin, params }, deps) => answer(admin.tenantId, params.webhookId, deps),
});

const change = operation({
  ...one,
  id: "changeWebhook",
  method: "put",
  path: "/webhooks/{webhookId}",
  summary: "Replace where a webhook goes and what it is told",
  description: "Its secret stays.",
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
  summary: "Remove a webhook",
  description: "What still waited for it is not sent.",
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
  summary: "Give a webhook another secret",
  description: `The new one is in this answer and nowhere else. For ${ROTATION_HOURS} hours deliveries bear two signatures, by the new secret and by the one before.`,
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
  summary: "Send a webhook a test and tell what came of it",
  description:
    "Signed, once, by the worker, as every event is. `delivered` and `dead` are outcomes; `waiting` says that there was none within eight seconds: the same request again looks once more and sends nothing.",
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
  summary: "List what was sent to a webhook, newest first, with what came of it",
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
  summary: "Send a delivery that was given up again",
  description:
    "Under the id it had, at once, and with all its attempts anew. One that waits or was delivered, a test, and an event that the webhook is not told of any more are refused with a 409, with the delivery as it is in `current`.",
  body: z.strictObject({ recordedAt: isoTimestamp.meta({ description: "Of the delivery, as listed." }) }),
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
  summary: "Send again what was given up of a webhook",
  description: `The oldest first, at most ${RESENT_MAX} a request, each as by \`resendDelivery\`; tests and events that the webhook is not told of any more are left out. A request looks through a bounded part of the table: with a \`cursor\` in the answer there may be more, also when it queued none.`,
  body: z.strictObject({
    cursor: cursor.optional().meta({ description: "Of the answer before, as it is." }),
  }),
  success: 202,
  answer: resentView,
  async run({ params, body, asker }, deps) {
    const done = await resendDeadDeliveries(asker, { ...params, ...body }, deps);
    return done.ok ? { ok: true, value: { body: done.value } } : done;
  },
});

async function answer(tenantId: string, webhookId: string, deps: Deps): Promise<Outcome> {
  const body = await readWebhook(deps, tenantId, webhookId);
  return body ? { ok: true, value: { body } } : refuse("admin.not-found");
}

/** The webhook, and its secret if this is the first answer. */
async function withWebhook(
  tenantId: string,
  done: Decision<{ webhookId: string; secret?: string }>,
  deps: Deps,
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
