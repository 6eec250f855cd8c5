import { marshalItem, values } from "../table/dynamo.ts";
import type { EventItem } from "../table/items/event.ts";
import { eventKey, indexSort, outbox } from "../table/keys.ts";
import { timestamp } from "../time/clock.ts";

/** Duration of an event's lease in milliseconds. Other workers skip the event during this time. */
export const FORWARD_LEASE_MS = 60_000;

/**
 * Update that puts a failed delivery back into the outbox and resets its count of attempts. Its condition
 * fails if the delivery is no longer in that state.
 *
 * If the event is due within two leases, a worker may be sending it. Then the due time does not change, so
 * that no other worker leases the event. The changed `resends` makes the sending worker write again.
 */
export function requeueUpdate(event: EventItem, webhookId: string, nowMs: number, table: string) {
  const { tenantId, recordedAt, eventId, nextAttemptAt: seen } = event;
  const isSoon = seen !== undefined && seen <= timestamp(nowMs + 2 * FORWARD_LEASE_MS);
  const next = isSoon ? seen : timestamp(nowMs);
  return {
    TableName: table,
    Key: marshalItem(eventKey(tenantId, recordedAt, eventId)),
    UpdateExpression:
      "SET forwards.#id = :fresh, nextAttemptAt = :next, GSI2PK = :outbox, GSI2SK = :sort, " +
      "resends = if_not_exists(resends, :zero) + :one",
    ConditionExpression: `attribute_exists(forwards.#id.deadAt) AND ${
      seen === undefined ? "attribute_not_exists(nextAttemptAt)" : "nextAttemptAt = :seen"
    }`,
    ExpressionAttributeNames: { "#id": webhookId },
    ExpressionAttributeValues: values({
      fresh: { attempts: 0 },
      next,
      outbox: outbox(tenantId),
      sort: indexSort(next, eventId),
      zero: 0,
      one: 1,
      ...(seen !== undefined && { seen }),
    }),
  };
}
