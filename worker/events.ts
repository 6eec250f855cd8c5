import { isForwarded } from "../shared/table/event-put.ts";
import type { EventItem, TenantItem } from "../shared/table/items.ts";

type Told = Pick<EventItem, "kind" | "at" | "data" | "assetId"> & { hostname?: string };

/**
 * An event as it is kept. Its id is made of what it is about, so that an event that is told again is the same one
 * to whoever receives it.
 */
export function makeEvent(told: Told, identity: string, tenant: TenantItem, recordedAt: string): EventItem {
  const { hostname, ...rest } = told;
  return {
    type: "Event",
    tenantId: tenant.tenantId,
    recordedAt,
    eventId: `evt_${Bun.hash.wyhash(`${told.kind} ${identity}`).toString(36)}${Bun.hash.wyhash(identity, 1n).toString(36)}`,
    ...rest,
    ...(hostname !== undefined && { hostname }),
    forwards: {},
    ...(isForwarded(told.kind, tenant) && { nextAttemptAt: recordedAt }),
    expiresAt: Math.floor(Date.parse(recordedAt) / 1000) + tenant.retentionDays * 24 * 3600,
  };
}
