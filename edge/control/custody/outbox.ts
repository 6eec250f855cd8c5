import { ulid } from "ulid";
import { eventPut } from "../../../shared/events/event-put.ts";
import { makeEvent, type NewEvent } from "../../../shared/events/make-event.ts";
import { readTenant } from "../../../shared/tenant/read-tenant.ts";
import { timestamp } from "../../../shared/time/clock.ts";
import type { ControlDeps } from "../deps.ts";
import type { Write } from "./transaction-write.ts";

/** An event that a change causes, for webhooks and the SIEM export. Its time is set when the transaction is built. */
export type News = Pick<NewEvent, "kind" | "data" | "assetId" | "hostname"> & {
  /** Id of the event. Set only if the caller must find the event later. */
  eventId?: string;
  recordedAt?: string;
};

/** Generates an event id. */
export const newEventId = (nowMs: number, deps: Pick<ControlDeps, "random">): string =>
  `evt_${ulid(nowMs, () => deps.random(1)[0]! / 256)}`;

/**
 * Builds the event writes for the transaction of a change. Events are stored if and only if the change is
 * stored. The operator is added to each event. `isWaited` is true if a webhook receives one of the events,
 * which means that a worker must be woken.
 */
export async function writeEvents(
  news: readonly News[],
  { tenantId, userId }: { tenantId: string; userId: string },
  clock: () => number,
  deps: Pick<ControlDeps, "authority" | "table" | "random">,
): Promise<{ writes: Write[]; isWaited: boolean }> {
  if (news.length === 0) return { writes: [], isWaited: false };
  const tenant = await readTenant(deps, tenantId);
  const nowMs = clock();
  const at = timestamp(nowMs);
  const events = news.map(({ eventId = newEventId(nowMs, deps), recordedAt = at, data, ...event }) =>
    makeEvent({ ...event, eventId, at, data: { ...data, operator: userId } }, tenant, recordedAt),
  );
  return {
    writes: events.map((event): Write => ({ Put: eventPut(event, deps.table) })),
    isWaited: events.some(({ nextAttemptAt }) => nextAttemptAt !== undefined),
  };
}

/**
 * Wakes a worker to deliver the events in the outbox. If that fails, they are delivered with the tenant's
 * next heartbeats.
 */
export async function nudge(tenantId: string, deps: Pick<ControlDeps, "nudge" | "log">): Promise<void> {
  try {
    await deps.nudge(tenantId);
  } catch (error) {
    deps.log("warn", "events.not-nudged", { tenantId, error });
  }
}
