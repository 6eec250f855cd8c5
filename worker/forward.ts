import { timestamp } from "../shared/clock.ts";
import { webhookBody, webhookHeaders } from "../shared/export/standard-webhooks.ts";
import { isConditionFailed, marshalItem, values } from "../shared/table/dynamo.ts";
import {
  decodeItem,
  type EventItem,
  eventItem,
  type TenantItem,
  type Webhook,
} from "../shared/table/items.ts";
import { eventKey, GSI2, indexSort, outbox, webhookHealthKey } from "../shared/table/keys.ts";
import { tidy } from "../shared/wire/text.ts";
import type { Deps } from "./deps.ts";
import type { PostWebhook } from "./webhook-post.ts";

/** Pauses between attempts, in seconds, as the Standard Webhooks specification recommends. Then it is given up. */
export const RETRY_SECONDS = [5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400] as const;
const EVENTS_AT_ONCE = 25;
/** While one worker is at an event, the others leave it alone for this long. */
const LEASE_MS = 60_000;
const GONE = 410;

type Forwarder = Pick<Deps, "dynamo" | "table" | "clock" | "log" | "metrics"> & { post: PostWebhook };
type Forward = EventItem["forwards"][string];

/** Sends what is due for a tenant. Returns how many events were taken up. */
export async function forwardDue(tenant: TenantItem, deps: Forwarder): Promise<number> {
  if (tenant.webhooks.length === 0) return 0;
  const now = timestamp(deps.clock());
  const { Items = [] } = await deps.dynamo("Query", {
    TableName: deps.table,
    IndexName: GSI2,
    KeyConditionExpression: "GSI2PK = :pk AND GSI2SK <= :to",
    ExpressionAttributeValues: values({ pk: outbox(tenant.tenantId), to: `${now}~` }),
    Limit: EVENTS_AT_ONCE,
  });
  let taken = 0;
  for (const stored of Items) {
    const event = decodeItem(eventItem, stored);
    if (!(await lease(event, deps))) continue;
    taken++;
    await forwardEvent(event, tenant, deps);
  }
  return taken;
}

/** Of several workers one goes on: whoever moves the time of the next attempt first. */
async function lease(event: EventItem, deps: Forwarder): Promise<boolean> {
  if (event.nextAttemptAt === undefined) return false;
  const until = timestamp(deps.clock() + LEASE_MS);
  try {
    await deps.dynamo("UpdateItem", {
      TableName: deps.table,
      Key: marshalItem(eventKey(event.tenantId, event.recordedAt, event.eventId)),
      UpdateExpression: "SET nextAttemptAt = :until, GSI2SK = :sort",
      ConditionExpression: "nextAttemptAt = :seen",
      ExpressionAttributeValues: values({
        until,
        sort: indexSort(until, event.eventId),
        seen: event.nextAttemptAt,
      }),
    });
    return true;
  } catch (error) {
    if (isConditionFailed(error)) return false;
    throw error;
  }
}

/** A test is for the one webhook it names. */
const wants = ({ id, events }: Webhook, { kind, data }: EventItem): boolean =>
  kind === "webhook.test" ? data.webhook === id : events.length === 0 || events.includes(kind);
const isOver = (forward: Forward | undefined) =>
  forward?.deliveredAt !== undefined || forward?.deadAt !== undefined;

async function forwardEvent(event: EventItem, tenant: TenantItem, deps: Forwarder): Promise<void> {
  const forwards = { ...event.forwards };
  for (const webhook of tenant.webhooks.filter((one) => wants(one, event))) {
    if (isOver(forwards[webhook.id])) continue;
    const forward = await attempt(webhook, event, forwards[webhook.id]?.attempts ?? 0, deps);
    forwards[webhook.id] = forward;
    if (isOver(forward)) await noteHealth(webhook, tenant.tenantId, forward, deps);
  }
  const waiting = tenant.webhooks.filter((one) => wants(one, event) && !isOver(forwards[one.id]));
  const attempts = Math.min(...waiting.map(({ id }) => forwards[id]!.attempts));
  const next =
    waiting.length === 0 ? undefined : timestamp(deps.clock() + RETRY_SECONDS[attempts - 1]! * 1000);
  await deps.dynamo("UpdateItem", {
    TableName: deps.table,
    Key: marshalItem(eventKey(event.tenantId, event.recordedAt, event.eventId)),
    UpdateExpression:
      next === undefined
        ? "SET forwards = :forwards REMOVE nextAttemptAt, GSI2PK, GSI2SK"
        : "SET forwards = :forwards, nextAttemptAt = :next, GSI2SK = :sort",
    ConditionExpression: "attribute_exists(PK)",
    ExpressionAttributeValues: values({
      forwards,
      ...(next !== undefined && { next, sort: indexSort(next, event.eventId) }),
    }),
  });
}

async function attempt(
  webhook: Webhook,
  event: EventItem,
  attempts: number,
  deps: Forwarder,
): Promise<Forward> {
  const body = webhookBody(event);
  const nowMs = deps.clock();
  let lastError: string;
  try {
    const headers = await webhookHeaders(webhook.secret, event.eventId, Math.floor(nowMs / 1000), body);
    const status = await deps.post(webhook.url, headers, body);
    if (status >= 200 && status < 300) {
      deps.metrics.count("webhooks_delivered_total");
      return { attempts: attempts + 1, deliveredAt: timestamp(nowMs) };
    }
    lastError = `answered ${status}`;
    if (status === GONE) attempts = RETRY_SECONDS.length; // the receiver wants no more of them
  } catch (error) {
    lastError = tidy(error instanceof Error ? error.message : "did not answer", 200);
  }
  deps.metrics.count("webhooks_failed_total");
  const failed = { attempts: attempts + 1, lastError };
  const context = { tenantId: event.tenantId, webhook: webhook.id, eventId: event.eventId, ...failed };
  if (attempts < RETRY_SECONDS.length) {
    deps.log("warn", "webhook.failed", context);
    return failed;
  }
  deps.metrics.count("webhooks_dead_total");
  deps.log("error", "webhook.dead", context);
  return { ...failed, deadAt: timestamp(nowMs) };
}

/** What became of a webhook's newest event stands by itself, where a page can show it. */
async function noteHealth(
  { id }: Webhook,
  tenantId: string,
  { deliveredAt, deadAt, lastError }: Forward,
  deps: Forwarder,
): Promise<void> {
  const isDelivered = deliveredAt !== undefined;
  await deps.dynamo("UpdateItem", {
    TableName: deps.table,
    Key: marshalItem(webhookHealthKey(tenantId, id)),
    UpdateExpression: `SET #type = :type, tenantId = :tenantId, webhookId = :id, ${
      isDelivered
        ? "lastDeliveredAt = :at, dead = :zero"
        : "lastFailedAt = :at, lastError = :error, dead = if_not_exists(dead, :zero) + :one"
    }`,
    ExpressionAttributeNames: { "#type": "type" },
    ExpressionAttributeValues: values({
      type: "WebhookHealth",
      tenantId,
      id,
      at: deliveredAt ?? deadAt!,
      zero: 0,
      ...(!isDelivered && { error: lastError ?? "did not answer", one: 1 }),
    }),
  });
}
