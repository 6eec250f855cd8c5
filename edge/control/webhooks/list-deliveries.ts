import { marshalItem } from "../../../shared/table/dynamo.ts";
import { decodeItem } from "../../../shared/table/items/decode.ts";
import { type EventItem, eventItem } from "../../../shared/table/items/event.ts";
import {
  type Webhook,
  type WebhookHealthItem,
  webhookHealthItem,
} from "../../../shared/table/items/webhook.ts";
import { EVENT_PREFIX, eventKey, eventsPartition, webhookHealthKey } from "../../../shared/table/keys.ts";
import { readTenant } from "../../../shared/tenant/read-tenant.ts";
import { accept, refuse } from "../../../shared/verdict.ts";
import type { Asker, Decision } from "../custody/change-plan.ts";
import type { ControlDeps } from "../deps.ts";
import { fillPage } from "../fill-page.ts";
import { type Page, type Query, queryPage, type Reader } from "../table-query.ts";
import { orderTest } from "./manage-webhooks.ts";
import type { DeliveryView, WebhookView } from "./webhook-views.ts";

/**
 * Interval between polls for the result of a test, and maximum number of polls (8 s in total). A worker
 * usually delivers the test within that time. Otherwise the list of deliveries shows the result later.
 */
const TEST_POLL_MS = 200;
const TEST_POLLS_MAX = 40;

/** Lists the tenant's webhooks with their health, without secrets. */
export async function listWebhooks(reader: Reader, tenantId: string): Promise<WebhookView[]> {
  const { webhooks } = await readTenant(reader, tenantId);
  return Promise.all(
    webhooks.map(async (webhook) => viewOf(webhook, await readHealth(reader, tenantId, webhook.id))),
  );
}

/** Reads one webhook. Returns undefined if the tenant has no webhook with this id. */
export async function readWebhook(
  reader: Reader,
  tenantId: string,
  webhookId: string,
): Promise<WebhookView | undefined> {
  const { webhooks } = await readTenant(reader, tenantId);
  const webhook = webhooks.find(({ id }) => id === webhookId);
  return webhook && viewOf(webhook, await readHealth(reader, tenantId, webhookId));
}

/** Reads the health of a webhook. Returns undefined before the first delivery attempt. */
export async function readHealth(
  { dynamo, table }: Pick<ControlDeps, "dynamo" | "table">,
  tenantId: string,
  webhookId: string,
  { isConsistent = false }: { isConsistent?: boolean } = {},
): Promise<WebhookHealthItem | undefined> {
  const Key = marshalItem(webhookHealthKey(tenantId, webhookId));
  const { Item } = await dynamo("GetItem", {
    TableName: table,
    Key,
    ...(isConsistent && { ConsistentRead: true }),
  });
  return Item && decodeItem(webhookHealthItem, Item);
}

function viewOf(webhook: Webhook, health: WebhookHealthItem | undefined): WebhookView {
  const { id, url, events, createdAt, createdBy, previous } = webhook;
  const { lastDeliveredAt, lastFailedAt, lastError, failures = 0, dead = 0 } = health ?? {};
  const isTried = lastDeliveredAt !== undefined || lastFailedAt !== undefined;
  return {
    webhookId: id,
    url,
    events,
    ...(createdAt !== undefined && { createdAt }),
    ...(createdBy !== undefined && { createdBy }),
    ...(previous && { previousSecretUntil: previous.until }),
    health: {
      state: failures > 0 ? "failing" : isTried ? "fine" : "untried",
      failures,
      dead,
      ...(lastDeliveredAt !== undefined && { lastDeliveredAt }),
      ...(lastFailedAt !== undefined && { lastFailedAt }),
      ...(lastError !== undefined && { lastError }),
    },
  };
}

export type DeliveryState = DeliveryView["state"];

/**
 * Lists the deliveries of a webhook, newest first. If a state is given, lists only deliveries in that state.
 * A page can be short and still have a cursor.
 */
export async function listDeliveries(
  reader: Reader,
  tenantId: string,
  { webhookId, state }: { webhookId: string; state?: DeliveryState | undefined },
  page: { limit: number; from?: string },
): Promise<Page<DeliveryView>> {
  const query: Query = {
    partition: eventsPartition(tenantId),
    prefix: EVENT_PREFIX,
    newestFirst: true,
    filter: { expression: expressionOf(state), names: { "#id": webhookId } },
  };
  const { items, cursor } = await fillPage(
    page,
    (part) => queryPage(reader, { ...query, ...part }),
    (found) => found.map((stored) => deliveryOf(decodeItem(eventItem, stored), webhookId)),
  );
  return { items, ...(cursor !== undefined && { cursor }) };
}

function expressionOf(state: DeliveryState | undefined): string {
  if (state === "delivered") return "attribute_exists(forwards.#id.deliveredAt)";
  if (state === "dead") return "attribute_exists(forwards.#id.deadAt)";
  const open = "attribute_not_exists(forwards.#id.deliveredAt) AND attribute_not_exists(forwards.#id.deadAt)";
  return `attribute_exists(forwards.#id)${state === "waiting" ? ` AND ${open}` : ""}`;
}

/** Delivery of an event to one webhook. Its state is `waiting` before the first attempt. */
export function deliveryOf(event: EventItem, webhookId: string): DeliveryView {
  const { eventId, kind, at, recordedAt, assetId, hostname } = event;
  const { deliveredAt, deadAt, lastError, nextAttemptAt, ...tried } = event.forwards[webhookId] ?? {
    attempts: 0,
  };
  const state = deliveredAt !== undefined ? "delivered" : deadAt !== undefined ? "dead" : "waiting";
  // The next attempt is at the later of two times: the webhook's next attempt, and the end of the event's
  // lease. While one worker holds the lease, no other worker delivers the event.
  const next = [nextAttemptAt ?? "", event.nextAttemptAt ?? ""].toSorted()[1];
  return {
    eventId,
    kind,
    at,
    recordedAt,
    ...(assetId !== undefined && { assetId }),
    ...(hostname !== undefined && { hostname }),
    state,
    ...tried,
    ...(lastError !== undefined && state !== "delivered" && { error: lastError }),
    ...(deliveredAt !== undefined && { deliveredAt }),
    ...(deadAt !== undefined && { deadAt }),
    ...(state === "waiting" && event.nextAttemptAt !== undefined && { nextAttemptAt: next }),
  };
}

/**
 * Sends a test event through the worker and returns its delivery. The event is signed like any other event.
 * The delivery's state is `waiting` if no worker finished within 8 s. A repeated request polls again and does
 * not send a second test.
 */
export async function testWebhook(
  asker: Asker,
  webhookId: string,
  deps: ControlDeps,
): Promise<Decision<DeliveryView>> {
  const ordered = await orderTest(asker, { webhookId }, deps);
  if (!ordered.ok) return ordered;
  const { eventId, recordedAt } = ordered.value;
  const Key = marshalItem(eventKey(asker.admin.tenantId, recordedAt, eventId));
  for (let polls = 0; ; polls++) {
    const { Item } = await deps.dynamo("GetItem", { TableName: deps.table, Key, ConsistentRead: true });
    if (!Item) return refuse("admin.not-found");
    const delivery = deliveryOf(decodeItem(eventItem, Item), webhookId);
    if (delivery.state !== "waiting" || polls >= TEST_POLLS_MAX) return accept(delivery);
    await deps.pause(TEST_POLL_MS);
  }
}
