import type { EventItem } from "../table/items/event.ts";
import type { TenantItem } from "../table/items/tenant.ts";
import { isForwarded } from "./event-put.ts";

/** An event without the members that are added when it is recorded. */
export type NewEvent = Pick<EventItem, "kind" | "at" | "data" | "eventId" | "report"> & {
  assetId?: string | undefined;
  hostname?: string | undefined;
};

/** Builds the event item. It is in the outbox if a webhook of the tenant subscribes to its kind. */
export function makeEvent(
  { assetId, hostname, ...event }: NewEvent,
  tenant: Pick<TenantItem, "tenantId" | "webhooks" | "retentionDays">,
  recordedAt: string,
): EventItem {
  return {
    type: "Event",
    tenantId: tenant.tenantId,
    recordedAt,
    ...event,
    ...(assetId !== undefined && { assetId }),
    ...(hostname !== undefined && { hostname }),
    forwards: {},
    ...(isForwarded(event.kind, tenant) && { nextAttemptAt: recordedAt }),
    expiresAt: Math.floor(Date.parse(recordedAt) / 1000) + tenant.retentionDays * 24 * 3600,
  };
}
