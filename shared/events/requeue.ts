import { marshalItem, values } from "../table/dynamo.ts";
import type { EventItem } from "../table/items/event.ts";
import { eventKey, indexSort, outbox } from "../table/keys.ts";
import { timestamp } from "../time/clock.ts";

/** While one worker is at an event, the others leave it alone for this long. */
export const FORWARD_LEASE_MS = 60_000;

/**
 * Update that puts a delivery that was given up back into the outbox, its attempts counted anew, and only while it is
 * given up. An event that is due within two leases may be in the hands of a worker at this moment: its time stays, so
 * that no other worker takes it up meanwhile, and `resends` tells that worker that there is more to do.
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
