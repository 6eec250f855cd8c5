import { checkEvents } from "../../shared/authority/check-events.ts";
import { FORWARD_LEASE_MS } from "../../shared/events/requeue.ts";
import { webhookBody, webhookHeaders } from "../../shared/export/standard-webhooks.ts";
import { messageOf } from "../../shared/observability/error-message.ts";
import { type AttributeMap, isConditionFailed, marshalItem, values } from "../../shared/table/dynamo.ts";
import { decodeItem } from "../../shared/table/items/decode.ts";
import { type EventItem, eventItem } from "../../shared/table/items/event.ts";
import type { TenantItem } from "../../shared/table/items/tenant.ts";
import { isSubscribed, type Webhook } from "../../shared/table/items/webhook.ts";
import { eventKey, GSI2, indexSort, outbox, webhookHealthKey } from "../../shared/table/keys.ts";
import { readTenant } from "../../shared/tenant/read-tenant.ts";
import { timestamp } from "../../shared/time/clock.ts";
import { tidy } from "../../shared/wire/text.ts";
import type { PlatformDeps } from "../platform/deps.ts";
import type { DeliverySlots } from "./delivery-slots.ts";
import type { PostWebhook } from "./post-webhook.ts";

/**
 * Delays between attempts in seconds, as recommended by the Standard Webhooks specification. The delivery is
 * given up after the last attempt.
 */
export const RETRY_SECONDS = [5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400] as const;
const EVENTS_AT_ONCE = 25;
/**
 * Maximum number of events of one tenant in progress. One event takes up to about 12 s, which is the wait for
 * a slot and one attempt.
 */
const EVENTS_UNDER_WAY_MAX = 100;
/**
 * Maximum number of attempts to write an outcome. A conflict occurs when an administrator resends another
 * delivery of the same event.
 */
const SETTLE_ROUNDS_MAX = 8;
const GONE = 410;
const UNSUBSCRIBED = "the webhook no longer subscribes to this kind of event";

type Deliverer = Pick<PlatformDeps, "dynamo" | "table" | "authority" | "clock" | "log" | "metrics"> & {
  post: PostWebhook;
  slots: DeliverySlots;
};
type Forward = EventItem["forwards"][string];

/** Sends the due events of a tenant to its current webhooks. Returns the number of events. */
export async function forwardDue(tenantId: string, deps: Deliverer): Promise<number> {
  const started = await startDue(tenantId, deps);
  for (const outcome of await Promise.allSettled(started))
    if (outcome.status === "rejected") throw outcome.reason;
  return started.length;
}

/**
 * Leases the due events of a tenant and starts to send them. Each promise resolves when its event is written
 * back, and rejects if that write fails. The event is then due again at the end of its lease.
 */
async function startDue(tenantId: string, deps: Deliverer): Promise<Promise<void>[]> {
  const nowMs = deps.clock();
  const { Items = [] } = await deps.dynamo("Query", {
    TableName: deps.table,
    IndexName: GSI2,
    KeyConditionExpression: "GSI2PK = :pk AND GSI2SK <= :to",
    ExpressionAttributeValues: values({ pk: outbox(tenantId), to: `${timestamp(nowMs)}~` }),
    Limit: EVENTS_AT_ONCE,
  });
  const events = Items.flatMap((stored) => readable(stored, tenantId, deps));
  const behindMs = events.map(({ nextAttemptAt = timestamp(nowMs) }) => nowMs - Date.parse(nextAttemptAt));
  deps.metrics.gauge("webhooks_behind_seconds", Math.max(0, ...behindMs) / 1000);
  if (events.length === 0) return [];
  // The settings are read from the table, because cached settings may lack a webhook that was just added.
  const tenant = await readTenant(deps, tenantId);
  const leases = await Promise.allSettled(events.map((event) => lease(event, deps)));
  return leases.flatMap((outcome) => {
    if (outcome.status === "rejected") return [Promise.reject(outcome.reason)];
    return outcome.value ? [forwardEvent(outcome.value, tenant, deps)] : [];
  });
}

/**
 * Creates a function that reads the outbox of a tenant once and starts deliveries, without waiting for
 * receivers. The function resolves to true if there may be more events. It waits only while {@link
 * EVENTS_UNDER_WAY_MAX} events of this tenant are in progress.
 */
export function createDeliverer(deps: Deliverer): (tenantId: string) => Promise<boolean> {
  const underWay = new Map<string, Set<Promise<void>>>();
  return async (tenantId) => {
    const events = underWay.get(tenantId) ?? new Set();
    underWay.set(tenantId, events);
    while (events.size > EVENTS_UNDER_WAY_MAX - EVENTS_AT_ONCE) await Promise.race(events);
    const started = await startDue(tenantId, deps);
    for (const event of started) {
      const settled = event
        .catch((error: unknown) => {
          deps.metrics.count("forwards_faulted_total");
          deps.log("error", "event.not-forwarded", { tenantId, error });
        })
        .finally(() => {
          events.delete(settled);
          if (events.size === 0) underWay.delete(tenantId);
        });
      events.add(settled);
    }
    if (events.size === 0) underWay.delete(tenantId);
    return started.length === EVENTS_AT_ONCE;
  };
}

/**
 * Parses a stored event. An event that this worker cannot parse, for example from a newer version, is logged
 * and skipped. It stays in the outbox for a worker that can parse it.
 */
function readable(stored: AttributeMap, tenantId: string, deps: Deliverer): EventItem[] {
  try {
    return [decodeItem(eventItem, stored)];
  } catch (error) {
    deps.metrics.count("forwards_faulted_total");
    deps.log("error", "event.not-read", { tenantId, error });
    return [];
  }
}

/**
 * Leases an event by moving the time of its next attempt. If several workers try, the first one succeeds.
 * Returns the leased event, or undefined if another worker has it.
 */
async function lease(event: EventItem, deps: Deliverer): Promise<EventItem | undefined> {
  if (event.nextAttemptAt === undefined) return undefined;
  const until = timestamp(deps.clock() + FORWARD_LEASE_MS);
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
    return { ...event, nextAttemptAt: until };
  } catch (error) {
    if (isConditionFailed(error)) return undefined;
    throw error;
  }
}

/** A test event is sent only to the webhook that it names. */
const wants = (webhook: Webhook, { kind, data }: EventItem): boolean =>
  kind === "webhook.test" ? data.webhook === webhook.id : isSubscribed(webhook, kind);
const isOver = (forward: Forward | undefined) =>
  forward?.deliveredAt !== undefined || forward?.deadAt !== undefined;
const isDue = (forward: Forward | undefined, now: string) =>
  !isOver(forward) && (forward?.nextAttemptAt ?? now) <= now;

async function forwardEvent(leased: EventItem, tenant: TenantItem, deps: Deliverer): Promise<void> {
  const now = timestamp(deps.clock());
  const event = (await checkEvents(deps, tenant.tenantId, [leased]))[0]!;
  const wanting = tenant.webhooks.filter((one) => wants(one, event));
  const due = wanting.filter(({ id }) => isDue(event.forwards[id], now));
  const outcomes = unsubscribed(event, wanting, now);
  await Promise.all(
    due.map(async (webhook) => {
      outcomes[webhook.id] =
        event.refused === undefined
          ? await attemptOrDefer(webhook, event, deps)
          : withheld(event, event.refused, webhook.id, now);
    }),
  );
  await settle(event, wanting, outcomes, deps);
}

/**
 * Outcome for an event without valid proof. Such an event is not sent, because receivers act on the event
 * type. The delivery states the reason.
 */
const withheld = (event: EventItem, reason: string, webhookId: string, now: string): Forward => ({
  ...(event.forwards[webhookId] ?? { attempts: 0 }),
  deadAt: now,
  lastError: reason,
});

/**
 * Makes one attempt if a slot is available. Otherwise, it defers the delivery. A deferral does not count as
 * an attempt.
 */
async function attemptOrDefer(webhook: Webhook, event: EventItem, deps: Deliverer): Promise<Forward> {
  const before = event.forwards[webhook.id] ?? { attempts: 0 };
  const outcome = await deps.slots.send(event.tenantId, webhook.id, () =>
    attempt(webhook, event, before.attempts, deps),
  );
  if ("deferMs" in outcome) {
    deps.metrics.count("webhooks_deferred_total");
    return { ...before, nextAttemptAt: timestamp(deps.clock() + outcome.deferMs) };
  }
  await noteHealth(webhook, event, outcome.sent, deps);
  return outcome.sent;
}

/** Gives up pending deliveries to webhooks that no longer subscribe to this kind of event. */
function unsubscribed(event: EventItem, wanting: readonly Webhook[], now: string): Record<string, Forward> {
  const ids = new Set(wanting.map(({ id }) => id));
  const waiting = Object.entries(event.forwards).filter(([id, forward]) => !ids.has(id) && !isOver(forward));
  return Object.fromEntries(
    waiting.map(([id, { nextAttemptAt, ...forward }]) => [
      id,
      { ...forward, deadAt: now, lastError: UNSUBSCRIBED },
    ]),
  );
}

/**
 * Writes the outcomes and the time of the next attempt while the lease holds. Retries if an administrator
 * resent another delivery of the event. If another worker has leased the event meanwhile, these outcomes are
 * dropped and that worker's outcomes count.
 */
async function settle(
  leased: EventItem,
  wanting: readonly Webhook[],
  outcomes: Readonly<Record<string, Forward>>,
  deps: Deliverer,
): Promise<void> {
  const { tenantId, eventId, recordedAt, nextAttemptAt: until } = leased;
  const read = {
    TableName: deps.table,
    Key: marshalItem(eventKey(tenantId, recordedAt, eventId)),
    ConsistentRead: true,
  };
  let event = leased;
  for (let round = 0; round < SETTLE_ROUNDS_MAX; round++) {
    if (await settled(event, wanting, outcomes, deps)) return;
    const { Item } = await deps.dynamo("GetItem", read);
    const now = Item && decodeItem(eventItem, Item);
    if (now?.nextAttemptAt !== until) return deps.log("warn", "webhook.lease-lost", { tenantId, eventId });
    event = now!;
  }
  throw new Error(`Could not save the outcome of an event: ${SETTLE_ROUNDS_MAX} write conflicts in a row.`);
}

/** Writes the outcomes. Returns false if the event has changed since it was read. */
async function settled(
  event: EventItem,
  wanting: readonly Webhook[],
  outcomes: Readonly<Record<string, Forward>>,
  deps: Deliverer,
): Promise<boolean> {
  const { tenantId, recordedAt, eventId, nextAttemptAt: until, resends } = event;
  const forwards = { ...event.forwards, ...outcomes };
  const waiting = wanting.filter(({ id }) => !isOver(forwards[id]));
  const now = timestamp(deps.clock());
  const [next] = waiting.map(({ id }) => forwards[id]?.nextAttemptAt ?? now).toSorted();
  try {
    await deps.dynamo("UpdateItem", {
      TableName: deps.table,
      Key: marshalItem(eventKey(tenantId, recordedAt, eventId)),
      UpdateExpression:
        next === undefined
          ? "SET forwards = :forwards REMOVE nextAttemptAt, GSI2PK, GSI2SK"
          : "SET forwards = :forwards, nextAttemptAt = :next, GSI2SK = :sort",
      ConditionExpression: `nextAttemptAt = :until AND ${
        resends === undefined ? "attribute_not_exists(resends)" : "resends = :resends"
      }`,
      ExpressionAttributeValues: values({
        forwards,
        until,
        ...(resends !== undefined && { resends }),
        ...(next !== undefined && { next, sort: indexSort(next, eventId) }),
      }),
    });
    return true;
  } catch (error) {
    if (isConditionFailed(error)) return false;
    throw error;
  }
}

type Sent = { status?: number; latencyMs: number; error?: string };

/** Sends one delivery, with one signature for each secret that is currently valid. Never throws. */
async function send(webhook: Webhook, event: EventItem, deps: Deliverer): Promise<Sent> {
  const startMs = deps.clock();
  const { secret, previous, url } = webhook;
  const isRotating = previous !== undefined && timestamp(startMs) < previous.until;
  try {
    const body = webhookBody(event);
    const secrets = isRotating ? [secret, previous.secret] : [secret];
    const headers = await webhookHeaders(secrets, event.eventId, Math.floor(startMs / 1000), body);
    const status = await deps.post(url, headers, body);
    const isFine = status >= 200 && status < 300;
    return { status, latencyMs: deps.clock() - startMs, ...(!isFine && { error: `answered ${status}` }) };
  } catch (error) {
    return { latencyMs: deps.clock() - startMs, error: tidy(messageOf(error, "no response"), 200) };
  }
}

async function attempt(
  webhook: Webhook,
  event: EventItem,
  earlier: number,
  deps: Deliverer,
): Promise<Forward> {
  const { error, status, ...sent } = await send(webhook, event, deps);
  const result = { attempts: earlier + 1, ...sent, ...(status !== undefined && { status }) };
  const endMs = deps.clock();
  const at = timestamp(endMs);
  if (error === undefined) {
    deps.metrics.count("webhooks_delivered_total");
    return { ...result, deliveredAt: at };
  }
  deps.metrics.count("webhooks_failed_total");
  const failed = { ...result, lastError: error };
  const context = { tenantId: event.tenantId, webhook: webhook.id, eventId: event.eventId, ...failed };
  // A test event is sent once. Status 410 (Gone) means that the receiver wants no further events.
  const isLast = result.attempts > RETRY_SECONDS.length || status === GONE || event.kind === "webhook.test";
  if (!isLast) {
    deps.log("warn", "webhook.failed", context);
    return { ...failed, nextAttemptAt: timestamp(endMs + RETRY_SECONDS[result.attempts - 1]! * 1000) };
  }
  if (event.kind !== "webhook.test") {
    deps.metrics.count("webhooks_dead_total");
    deps.log("error", "webhook.dead", context);
  }
  return { ...failed, deadAt: at };
}

/** Stores the result of each webhook's newest attempt, for the dashboard. */
async function noteHealth(
  { id }: Webhook,
  { tenantId, kind }: EventItem,
  { deliveredAt, deadAt, lastError }: Forward,
  deps: Deliverer,
): Promise<void> {
  const isDelivered = deliveredAt !== undefined;
  const isDead = deadAt !== undefined && kind !== "webhook.test";
  await deps.dynamo("UpdateItem", {
    TableName: deps.table,
    Key: marshalItem(webhookHealthKey(tenantId, id)),
    UpdateExpression: `SET #type = :type, tenantId = :tenantId, webhookId = :id, ${
      isDelivered
        ? "lastDeliveredAt = :at, failures = :zero, dead = :zero"
        : "lastFailedAt = :at, lastError = :error, failures = if_not_exists(failures, :zero) + :one, " +
          "dead = if_not_exists(dead, :zero) + :dead"
    }`,
    ExpressionAttributeNames: { "#type": "type" },
    ExpressionAttributeValues: values({
      type: "WebhookHealth",
      tenantId,
      id,
      at: deliveredAt ?? timestamp(deps.clock()),
      zero: 0,
      ...(!isDelivered && { error: lastError ?? "no response", one: 1, dead: isDead ? 1 : 0 }),
    }),
  });
}
