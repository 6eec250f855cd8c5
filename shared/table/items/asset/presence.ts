import { z } from "zod";
import { assetId, slug, tenantId } from "../../../ids.ts";
import { ENGINE_KINDS, LIMITS, runId } from "../../../wire/heartbeat.ts";
import { isoTimestamp, text } from "../../../wire/text.ts";
import { count } from "../count.ts";
import { risk } from "./risk.ts";

/** An open incident of an asset. It is stored in the presence so that it can be resolved without a query. */
const openIncident = z.object({
  rule: slug,
  engine: slug,
  risk: z.enum(["WARNING", "CRITICAL"]),
  /** Time since which the condition is absent, by the agent's clock. Undefined while the condition exists. */
  absentSince: isoTimestamp.optional(),
});
export type OpenIncident = z.infer<typeof openIncident>;

/** One run of a daemon with this identity. See `agent.run`. */
const runSeen = z.object({
  run: runId,
  hostname: text(253),
  firstSeenAt: isoTimestamp,
  lastSeenAt: isoTimestamp,
});
export type RunSeen = z.infer<typeof runSeen>;

/** Use of the identity. It is written if a different run than the latest one reports. */
const identityUse = z.object({
  runs: z.array(runSeen).max(8),
  /** The run that sent the newest heartbeat. */
  latest: runId.optional(),
  /** The two newest times at which a run reported although a later run had begun. */
  returns: z.array(isoTimestamp).max(2),
  /** Sessions that were refused to another machine. Absent if there was no refusal. */
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
  /**
   * Time up to which the asset was seen. It is the time of the newest change, or the start of a later
   * resolution interval.
   */
  lastSeenAt: isoTimestamp,
  sequence: count,
  /** Increases with every write. It is used as an optimistic lock. */
  revision: count.optional(),
  /** Timestamp in the key of the telemetry item of the current state. */
  stateAt: isoTimestamp,
  stateSince: isoTimestamp,
  /** Hash of the state that the worker computed. It detects a changed state whose `stateSince` is unchanged. */
  stateHash: z.string(),
  /** Lowest known sequence number of a heartbeat with this state. The state's telemetry item has the same number. */
  stateSequence: count.optional(),
  /** True if a heartbeat that arrived in time has added this state to the baseline. */
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
  /** Names of the clients that use engines on this host. */
  clients: z.array(text(120)).max(LIMITS.CLIENTS_MAX).default([]),
  failedCollectors: z.array(slug).max(LIMITS.COLLECTORS_MAX),
  spoolDropped: count,
  openIncidents: z.array(openIncident),
  /** Run id of the daemon that reported this state. */
  run: runId.optional(),
  identity: identityUse.optional(),
  /**
   * The host with the same mainboard that was isolated when this asset sent its first heartbeat. Absent if
   * there was no such host.
   */
  isolatedBefore: z.object({ assetId, hostname: text(253) }).optional(),
});
export type PresenceItem = z.infer<typeof presenceItem>;
