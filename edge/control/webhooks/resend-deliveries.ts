import { requeueUpdate } from "../../../shared/events/requeue.ts";
import { type AttributeMap, marshalItem, values } from "../../../shared/table/dynamo.ts";
import { decodeItem } from "../../../shared/table/items/decode.ts";
import { type EventItem, eventItem } from "../../../shared/table/items/event.ts";
import { isSubscribed, type Webhook } from "../../../shared/table/items/webhook.ts";
import { EVENT_PREFIX, eventKey, eventsPartition, webhookHealthKey } from "../../../shared/table/keys.ts";
import { readTenant } from "../../../shared/tenant/read-tenant.ts";
import { accept, refuse } from "../../../shared/verdict.ts";
import type { Deps } from "../../deps.ts";
import { openCursor, type Scope, sealCursor } from "../cursor.ts";
import {
  type Asker,
  commit,
  type Decision,
  type Plan,
  type Refused,
} from "../custody/custody-transaction.ts";
import type { Write } from "../custody/transaction-write.ts";
import { deliveryOf, readHealth } from "./list-deliveries.ts";
import type { DeliveryView, ResentView } from "./webhook-views.ts";

/** Of one request: each is an item of its transaction, and their ids stand in its custody record. */
export const RESENT_MAX = 50;
/** A request asks the table this often at most, and looks at this many events each time. */
const READS_MAX = 8;
const EVALUATED_MAX = 500;

type Named = { webhookId: string; eventId: string; recordedAt: string };

/**
 * Puts one delivery that was given up back into the outbox, with all its attempts anew: the receiver gets it under the
 * id it had. Refuses with `admin.conflict`, and the delivery as it is, whatever else came of it meanwhile.
 */
export async function resendDelivery(
  asker: Asker,
  { webhookId, eventId, recordedAt }: Named,
  deps: Deps,
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
 * {@link resendDelivery} for what was given up of a webhook, the oldest first, as many as one transaction holds. With
 * `cursor` there may be more. When there is none to send again, nothing is written.
 */
export async function resendDeadDeliveries(
  asker: Asker,
  { webhookId, cursor }: { webhookId: string; cursor?: string | undefined },
  deps: Deps,
): Promise<Decision<ResentView>> {
  let none: { refused: Refused; result: ResentView } | undefined;
  const decide = async (nowMs: number): Promise<Decision<Plan<ResentView>>> => {
    const webhook = await findWebhook(asker.admin.tenantId, webhookId, deps);
    if (!webhook) return refuse("admin.not-found");
    const { events, next } = await findDead(asker.admin.tenantId, webhook, cursor, deps);
    const result = { queued: events.length, ...(next !== undefined && { cursor: next }) };
    if (events.length > 0) return accept(await planOf(webhook, events, result, nowMs, deps));
    none = { refused: refuse("admin.conflict", "none was given up"), result };
    return none.refused;
  };
  const done = await commit(asker, ["resend-dead-deliveries", webhookId, cursor], decide, deps);
  if (done.ok) return accept(done.value.result);
  return none?.refused === done ? accept(none.result) : done;
}

async function findWebhook(tenantId: string, webhookId: string, deps: Deps): Promise<Webhook | undefined> {
  const { webhooks } = await readTenant(deps, tenantId);
  return webhooks.find(({ id }) => id === webhookId);
}

/** Why this delivery cannot be sent again; undefined when it can. */
export function whyNotResend(
  webhook: Pick<Webhook, "events">,
  { kind, state }: Pick<DeliveryView, "kind" | "state">,
): string | undefined {
  if (kind === "webhook.test") return "a test is sent once: send another one";
  if (state === "delivered") return "it was delivered";
  if (state === "waiting") return "it was not given up: it waits to be sent";
  return isSubscribed(webhook, kind) ? undefined : `the webhook is not told of ${kind} any more`;
}

async function planOf<Result>(
  { id }: Webhook,
  events: readonly EventItem[],
  result: Result,
  nowMs: number,
  deps: Deps,
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

/** What waits again is not given up: it leaves the count of what was since the last that got through. */
async function healthWrite(
  webhookId: string,
  events: readonly EventItem[],
  deps: Deps,
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

/** Events whose delivery can be sent again, the oldest first, and where the next request goes on. */
async function findDead(
  tenantId: string,
  webhook: Webhook,
  cursor: string | undefined,
  deps: Deps,
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
      // There is one more than this request takes: the next one begins behind the last that it took.
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

const queryDead = (tenantId: string, webhookId: string, from: AttributeMap | undefined, deps: Deps) =>
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
