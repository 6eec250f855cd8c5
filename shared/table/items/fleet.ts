import { z } from "zod";
import { tenantId } from "../../ids.ts";
import { isoTimestamp, text } from "../../wire/text.ts";
import { count } from "./count.ts";

/** Of each list the fleet's counts hold this many, most hosts first. */
export const RANKED_MAX = 50;

const ranked = z.object({
  /** Of how many in all these are the first. */
  total: count,
  first: z.array(z.object({ key: text(200), name: text(200), hosts: count })).max(RANKED_MAX),
});
export type Ranked = z.infer<typeof ranked>;

/** A fleet in numbers. */
export const fleetCounts = z.object({
  hosts: count,
  reporting: count,
  silent: count,
  never: count,
  /** Hosts that left the active list. They are in none of the other counts. */
  expired: count.default(0),
  withAi: count,
  /** Hosts with a source that could not be read. */
  withFailedSources: count,
  kinds: count,
  engines: ranked,
  models: ranked,
  clients: ranked,
  /** Versions of the agents; the key and the name are the version. */
  agentVersions: ranked.default({ total: 0, first: [] }),
});
export type FleetCounts = z.infer<typeof fleetCounts>;

/** The newest count, so that a page on a node that has read nothing yet has numbers with their age. */
export const fleetSummaryItem = z.object({
  type: z.literal("FleetSummary"),
  tenantId,
  /** When it was counted; absent while the first one is being counted. */
  at: isoTimestamp.optional(),
  counts: fleetCounts.optional(),
  /** Version of the worker that counted. */
  workerVersion: text(40).optional(),
  /** One worker counts: until then the others leave it alone. */
  claimedUntil: isoTimestamp.optional(),
});
export type FleetSummaryItem = z.infer<typeof fleetSummaryItem>;

/** The last count of an hour (UTC): what the trend is drawn from. */
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
