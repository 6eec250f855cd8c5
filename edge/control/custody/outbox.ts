import { ulid } from "ulid";
import { eventPut } from "../../../shared/events/event-put.ts";
import { makeEvent, type NewEvent } from "../../../shared/events/make-event.ts";
import { readTenant } from "../../../shared/tenant/read-tenant.ts";
import { timestamp } from "../../../shared/time/clock.ts";
import type { Deps } from "../../deps.ts";
import type { Write } from "./transaction-write.ts";

/** What a change tells webhooks and the SIEM export, without when: that is when it is carried out. */
export type News = Pick<NewEvent, "kind" | "data" | "assetId" | "hostname"> & {
  /** Known beforehand by whoever is to find the event again. */
  eventId?: string;
  recordedAt?: string;
};

/** Id of an event that an admin's change makes. */
export const newEventId = (nowMs: number, deps: Pick<Deps, "random">): string =>
  `evt_${ulid(nowMs, () => deps.random(1)[0]! / 256)}`;

/**
 * Puts of events, for the transaction of what they tell of: told exactly when it happened, by whom is added.
 * `isWaited`: some webhook is to be told.
 */
export async function tell(
  news: readonly News[],
  { tenantId, userId }: { tenantId: string; userId: string },
  clock: () => number,
  deps: Pick<Deps, "authority" | "table" | "random">,
): Promise<{ writes: Write[]; isWaited: boolean }> {
  if (news.length === 0) return { writes: [], isWaited: false };
  const tenant = await readTenant(deps, tenantId);
  const nowMs = clock();
  const at = timestamp(nowMs);
  const events = news.map(({ eventId = newEventId(nowMs, deps), recordedAt = at, data, ...told }) =>
    makeEvent({ ...told, eventId, at, data: { ...data, operator: userId } }, tenant, recordedAt),
  );
  return {
    writes: events.map((event): Write => ({ Put: eventPut(event, deps.table) })),
    isWaited: events.some(({ nextAttemptAt }) => nextAttemptAt !== undefined),
  };
}

/** Lets a worker know that an event waits. Without it the event goes out with the tenant's next heartbeats. */
export async function nudge(tenantId: string, deps: Pick<Deps, "nudge" | "log">): Promise<void> {
  try {
    await deps.nudge(tenantId);
  } catch (error) {
    deps.log("warn", "events.not-nudged", { tenantId, error });
  }
}
