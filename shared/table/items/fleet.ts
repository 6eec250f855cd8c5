import { z } from "zod";
import { tenantId } from "../../ids.ts";
import { isoTimestamp, text } from "../../wire/text.ts";
import { count } from "./count.ts";

/** Maximum number of entries per list in the counts of a fleet. Those with the most hosts are kept. */
export const RANKED_MAX = 50;

const ranked = z.object({
  /** Total number of entries. `first` contains only the entries with the most hosts. */
  total: count,
  first: z.array(z.object({ key: text(200), name: text(200), hosts: count })).max(RANKED_MAX),
});
export type Ranked = z.infer<typeof ranked>;

/** Counts of a fleet. */
const fleetCounts = z.object({
  hosts: count,
  reporting: count,
  silent: count,
  never: count,
  /** Number of hosts that left the active list. The other counts do not include them. */
  expired: count.default(0),
  withAi: count,
  /** Number of hosts on which the agent could not read one of its sources. */
  withFailedSources: count,
  kinds: count,
  engines: ranked,
  models: ranked,
  clients: ranked,
  /** Agent versions. The key and the name of an entry are both the version. */
  agentVersions: ranked.default({ total: 0, first: [] }),
});
export type FleetCounts = z.infer<typeof fleetCounts>;

/** The newest counts. Dashboard pages of a node that has not read the fleet yet show these counts with their age. */
export const fleetSummaryItem = z.object({
  type: z.literal("FleetSummary"),
  tenantId,
  /** Time of the counts. Absent until the first count is complete. */
  at: isoTimestamp.optional(),
  counts: fleetCounts.optional(),
  /** Version of the worker that made these counts. */
  workerVersion: text(40).optional(),
  /** Time at which the counting worker's claim expires. Other workers skip the tenant until then. */
  claimedUntil: isoTimestamp.optional(),
});

/** The last counts of each hour (UTC), for the trend. */
export const fleetHourItem = z.object({
  type: z.literal("FleetHour"),
  tenantId,
  at: isoTimestamp,
  hosts: count,
  reporting: count,
  withAi: count,
  critical: count,
  warning: count,
  expiresAt: z.int(),
});
export type FleetHourItem = z.infer<typeof fleetHourItem>;
