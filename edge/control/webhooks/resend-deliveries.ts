import { requeueUpdate } from "../../../shared/events/requeue.ts";
import { type AttributeMap, marshalItem, values } from "../../../shared/table/dynamo.ts";
import { decodeItem } from "../../../shared/table/items/decode.ts";
import { type EventItem, eventItem } from "../../../shared/table/items/event.ts";
import { isSubscribed, type Webhook } from "../../../shared/table/items/webhook.ts";
import { EVENT_PREFIX, eventKey, eventsPartition, webhookHealthKey } from "../../../shared/table/keys.ts";
import { readTenant } from "../../../shared/tenant/read-tenant.ts";
import { accept, refuse } from "../../../shared/verdict.ts";
import { openCursor, type Scope, sealCursor } from "../cursor.ts";
import type { Asker, Decision, Plan, Refused } from "../custody/change-plan.ts";
import { commit } from "../custody/custody-transaction.ts";
import type { Write } from "../custody/transaction-write.ts";
import type { ControlDeps } from "../deps.ts";
import { deliveryOf, readHealth } from "./list-deliveries.ts";
import type { DeliveryView, ResentView } from "./webhook-views.ts";

/**
 * Maximum number of deliveries per request. Each delivery takes one item of the transaction, and the custody
 * record contains the ids of all of them.
 */
export const RESENT_MAX = 50;
/** Maximum number of reads per request, and maximum number of events per read. */
const READS_MAX = 8;
const EVALUATED_MAX = 500;

type Named = { webhookId: string; eventId: string; recordedAt: string };

/**
 * Puts one failed (`dead`) delivery back into the outbox. The event keeps its id, and its number of attempts
 * is reset. Refuses a delivery in any other state with `admin.conflict`, and returns that delivery.
 */
export async function resendDelivery(
  asker: Asker,
  { webhookId, eventId, recordedAt }: Named,
  deps: ControlDeps,
): Promise<Decision<DeliveryView>> {
  const { tenantId } = asker.admin;
  const readEvent = async () => {
    const Key = marshalItem(eventKey(tenantId, recordedAt, eventId));
    const { Item } = await deps.dynamo("GetItem", { TableName: deps.table, Key, ConsistentRead: true });
    const event = Item && decodeItem(eventItem, Item);
    return event?.forwards[webhookId] && event;
  };
  const decide = async (nowMs: number): Promise<Decision<Plan<Named>>> => {
    const webhook = await findWebhook(tenantId, webhookId, deps);
    const event = webhook && (await readEvent());
    if (!webhook || !event) return refuse("admin.not-found");
    const current = deliveryOf(event, webhookId);
    const why = whyNotResend(webhook, current);
    if (why !== undefined) return { ...refuse("admin.conflict", why), more: { current } };
    return accept(await planOf(webhook, [event], { webhookId, eventId, recordedAt }, nowMs, deps));
  };
  const done = await commit(asker, ["resend-delivery", webhookId, eventId, recordedAt], decide, deps);
  if (!done.ok) return done;
  const event = await readEvent();
  return event ? accept(deliveryOf(event, webhookId)) : refuse("admin.not-found");
}

/**
 * Resends all failed deliveries of a webhook like {@link resendDelivery}, starting with the oldest, and at
 * most {@link RESENT_MAX} per request. If the result has a cursor, there can be more failed deliveries.
 * Writes nothing if no delivery can be resent.
 */
export async function resendDeadDeliveries(
  asker: Asker,
  { webhookId, cursor }: { webhookId: string; cursor?: string | undefined },
  deps: ControlDeps,
): Promise<Decision<ResentView>> {
  let none: { refused: Refused; result: ResentView } | undefined;
  const decide = async (nowMs: number): Promise<Decision<Plan<ResentView>>> => {
    const webhook = await findWebhook(asker.admin.tenantId, webhookId, deps);
    if (!webhook) return refuse("admin.not-found");
    const { events, next } = await findDead(asker.admin.tenantId, webhook, cursor, deps);
    const result = { queued: events.length, ...(next !== undefined && { cursor: next }) };
    if (events.length > 0) return accept(await planOf(webhook, events, result, nowMs, deps));
    none = { refused: refuse("admin.conflict", "there are no failed deliveries to resend"), result };
    return none.refused;
  };
  const done = await commit(asker, ["resend-dead-deliveries", webhookId, cursor], decide, deps);
  if (done.ok) return accept(done.value.result);
  return none?.refused === done ? accept(none.result) : done;
}

async function findWebhook(
  tenantId: string,
  webhookId: string,
  deps: ControlDeps,
): Promise<Webhook | undefined> {
  const { webhooks } = await readTenant(deps, tenantId);
  return webhooks.find(({ id }) => id === webhookId);
}

/** Reason why this delivery cannot be resent, or undefined if it can. */
export function whyNotResend(
  webhook: Pick<Webhook, "events">,
  { kind, state }: Pick<DeliveryView, "kind" | "state">,
): string | undefined {
  if (kind === "webhook.test") return "a test is sent only once: send a new test";
  if (state === "delivered") return "it was delivered";
  if (state === "waiting") return "it has not failed: it is waiting to be sent";
  return isSubscribed(webhook, kind) ? undefined : `the webhook no longer receives ${kind} events`;
}

async function planOf<Result>(
  { id }: Webhook,
  events: readonly EventItem[],
  result: Result,
  nowMs: number,
  deps: ControlDeps,
): Promise<Plan<Result>> {
  const health = await healthWrite(id, events, deps);
  const ids = events.map(({ eventId }) => eventId);
  return {
    records: [{ action: "resend-deliveries", target: id, after: JSON.stringify({ events: ids }) }],
    writes: [
      ...events.map((event): Write => ({ Update: requeueUpdate(event, id, nowMs, deps.table) })),
      ...(health ? [health] : []),
    ],
    isWaited: true,
    result,
  };
}

/**
 * Builds the write that subtracts resent deliveries from the webhook's number of failed deliveries. Returns
 * undefined if that number does not change.
 */
async function healthWrite(
  webhookId: string,
  events: readonly EventItem[],
  deps: ControlDeps,
): Promise<Write | undefined> {
  const { tenantId } = events[0]!;
  const health = await readHealth(deps, tenantId, webhookId, { isConsistent: true });
  const { dead: seen = 0, lastDeliveredAt: since } = health ?? {};
  const counted = events.filter(({ forwards }) => forwards[webhookId]!.deadAt! > (since ?? ""));
  const dead = Math.max(0, seen - counted.length);
  if (dead === seen) return undefined;
  return {
    Update: {
      TableName: deps.table,
      Key: marshalItem(webhookHealthKey(tenantId, webhookId)),
      UpdateExpression: "SET dead = :dead",
      ConditionExpression: `dead = :seen AND ${
        since === undefined ? "attribute_not_exists(lastDeliveredAt)" : "lastDeliveredAt = :since"
      }`,
      ExpressionAttributeValues: values({ dead, seen, ...(since !== undefined && { since }) }),
    },
  };
}

/** Finds deliveries that can be resent, oldest first. `next` is the cursor for the next request. */
async function findDead(
  tenantId: string,
  webhook: Webhook,
  cursor: string | undefined,
  deps: ControlDeps,
): Promise<{ events: EventItem[]; next?: string }> {
  const { cursorKeys } = deps.admin;
  const scope: Scope = ["resend-dead", tenantId, webhook.id];
  const events: EventItem[] = [];
  let from = cursor === undefined ? undefined : await openCursor(cursorKeys, scope, cursor);
  for (let reads = 0; reads < READS_MAX; reads++) {
    const page = await queryDead(tenantId, webhook.id, from, deps);
    for (const stored of page.Items ?? []) {
      const event = decodeItem(eventItem, stored);
      if (whyNotResend(webhook, deliveryOf(event, webhook.id)) !== undefined) continue;
      // More events follow. The next request starts after the last event of this request.
      if (events.length === RESENT_MAX) return { events, next: await sealCursor(cursorKeys, scope, from!) };
      events.push(event);
      from = { PK: stored.PK!, SK: stored.SK! };
    }
    from = page.LastEvaluatedKey;
    if (!from) return { events };
    if (events.length === RESENT_MAX) break;
  }
  return { events, next: await sealCursor(cursorKeys, scope, from!) };
}

const queryDead = (tenantId: string, webhookId: string, from: AttributeMap | undefined, deps: ControlDeps) =>
  deps.dynamo("Query", {
    TableName: deps.table,
    KeyConditionExpression: "PK = :pk AND begins_with(SK, :prefix)",
    FilterExpression: "attribute_exists(forwards.#id.deadAt)",
    ExpressionAttributeNames: { "#id": webhookId },
    ExpressionAttributeValues: values({ pk: eventsPartition(tenantId), prefix: EVENT_PREFIX }),
    ConsistentRead: true,
    Limit: EVALUATED_MAX,
    ...(from && { ExclusiveStartKey: from }),
  });
