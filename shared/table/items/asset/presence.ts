import { z } from "zod";
import { assetId, slug, tenantId } from "../../../ids.ts";
import { ENGINE_KINDS, LIMITS, runId } from "../../../wire/heartbeat.ts";
import { isoTimestamp, text } from "../../../wire/text.ts";
import { count } from "../count.ts";
import { risk } from "./risk.ts";

/** An open incident of an asset, kept in presence so that resolving it needs no query. */
const openIncident = z.object({
  rule: slug,
  engine: slug,
  risk: z.enum(["WARNING", "CRITICAL"]),
  /** Since when the condition is absent, by the agent's clock. */
  absentSince: isoTimestamp.optional(),
});
export type OpenIncident = z.infer<typeof openIncident>;

/** One run of a daemon under this identity, as in `agent.run`. */
const runSeen = z.object({
  run: runId,
  hostname: text(253),
  firstSeenAt: isoTimestamp,
  lastSeenAt: isoTimestamp,
});
export type RunSeen = z.infer<typeof runSeen>;

/** Use of the identity. Written when another run than the latest reports. */
const identityUse = z.object({
  runs: z.array(runSeen).max(8),
  /** The run that reported last. */
  latest: runId.optional(),
  /** When a run reported although another had followed it: the newest two times. */
  returns: z.array(isoTimestamp).max(2),
  /** Sessions that were refused to another machine. */
  refused: z
    .object({ hostname: text(253).optional(), firstAt: isoTimestamp, lastAt: isoTimestamp })
    .optional(),
});
export type IdentityUse = z.infer<typeof identityUse>;

/** Newest state of an asset. Kept under 1 KiB where possible, because it is written often. */
export const presenceItem = z.object({
  type: z.literal("Presence"),
  tenantId,
  assetId,
  /** Time up to which the asset was seen: the time of the newest change, or the start of a later interval. */
  lastSeenAt: isoTimestamp,
  sequence: count,
  /** Grows with every write. Used as an optimistic lock. */
  revision: count.optional(),
  /** Timestamp in the key of the telemetry item of the current state. */
  stateAt: isoTimestamp,
  stateSince: isoTimestamp,
  /** The worker's own hash of the state. Detects a changed state with an unchanged `stateSince`. */
  stateHash: z.string(),
  /** Lowest known sequence with this state: that of its telemetry item. */
  stateSequence: count.optional(),
  /** True when a timely heartbeat has added this state to the baseline. */
  isLearnt: z.boolean().default(true),
  sampledAt: isoTimestamp,
  intervalMs: count,
  agentVersion: text(40),
  catalogue: text(40),
  hostname: text(253),
  risk,
  score: z.int().min(0).max(100),
  engines: z
    .array(z.object({ id: slug, name: text(80), kind: z.enum(ENGINE_KINDS), confidence: z.int() }))
    .max(LIMITS.ENGINES_MAX),
  models: z.array(text(200)).max(LIMITS.MODELS_MAX),
  /** Names of the clients of engines on this host. */
  clients: z.array(text(120)).max(LIMITS.CLIENTS_MAX).default([]),
  failedCollectors: z.array(slug).max(LIMITS.COLLECTORS_MAX),
  spoolDropped: count,
  openIncidents: z.array(openIncident),
  /** The daemon's run in this state. */
  run: runId.optional(),
  identity: identityUse.optional(),
  /** The isolated host with the same mainboard, as of this asset's first heartbeat. */
  isolatedBefore: z.object({ assetId, hostname: text(253) }).optional(),
});
export type PresenceItem = z.infer<typeof presenceItem>;
