import { marshalItem } from "../table/dynamo.ts";
import type { EventItem } from "../table/items/event.ts";
import type { TenantItem } from "../table/items/tenant.ts";
import { isSubscribed } from "../table/items/webhook.ts";
import { eventKey, indexSort, outbox } from "../table/keys.ts";

/** Whether a webhook of the tenant subscribes to events of this kind. */
export const isForwarded = (kind: EventItem["kind"], { webhooks }: Pick<TenantItem, "webhooks">): boolean =>
  webhooks.some((one) => kind === "webhook.test" || isSubscribed(one, kind));

/**
 * Put of an event for the transaction of its change, so that the event exists if and only if the change does.
 * An event with `nextAttemptAt` is in the outbox until it was delivered to every webhook. Other events are
 * only for the export.
 */
export function eventPut(event: EventItem, table: string) {
  const { tenantId, recordedAt, eventId, nextAttemptAt } = event;
  const index =
    nextAttemptAt === undefined
      ? {}
      : { GSI2PK: outbox(tenantId), GSI2SK: indexSort(nextAttemptAt, eventId) };
  return {
    TableName: table,
    Item: marshalItem({ ...eventKey(tenantId, recordedAt, eventId), ...index, ...event }),
  };
}
