import { z } from "zod";
import { assetId, slug, tenantId } from "../../../ids.ts";
import { ENGINE_KINDS, LIMITS, runId } from "../../../wire/heartbeat.ts";
import { isoTimestamp, text } from "../../../wire/text.ts";
import { count } from "../count.ts";
import { risk } from "./risk.ts";

/** An incident that is open for an asset, kept with its presence so that closing needs no query. */
export const openIncident = z.object({
  rule: slug,
  engine: slug,
  risk: z.enum(["WARNING", "CRITICAL"]),
  /** Since when, by the agent's clock, the condition is gone. */
  absentSince: isoTimestamp.optional(),
});
export type OpenIncident = z.infer<typeof openIncident>;

/** One start of a daemon under this identity, as `agent.run` names it. */
const runSeen = z.object({
  run: runId,
  hostname: text(253),
  firstSeenAt: isoTimestamp,
  lastSeenAt: isoTimestamp,
});
export type RunSeen = z.infer<typeof runSeen>;

/** Who uses the identity: written when another run than the latest reports. */
export const identityUse = z.object({
  runs: z.array(runSeen).max(8),
  /** The run that reported last. */
  latest: runId.optional(),
  /** When a run reported although another had followed it: the newest two. */
  returns: z.array(isoTimestamp).max(2),
  /** Sessions that were refused to another machine. */
  refused: z
    .object({ hostname: text(253).optional(), firstAt: isoTimestamp, lastAt: isoTimestamp })
    .optional(),
});
export type IdentityUse = z.infer<typeof identityUse>;

/** Newest word of an asset. Kept under 1 KiB where it can be, for it is written often. */
export const presenceItem = z.object({
  type: z.literal("Presence"),
  tenantId,
  assetId,
  /** Time up to which the asset was seen: of a change the time of the change, else the start of the interval. */
  lastSeenAt: isoTimestamp,
  sequence: count,
  /** Grows with every write; a writer that has not seen the newest one has to look again. */
  revision: count.optional(),
  /** Timestamp in the key of the telemetry item that holds the state the asset is in. */
  stateAt: isoTimestamp,
  stateSince: isoTimestamp,
  /** Worker's own hash of the state: a changed state behind an unchanged `stateSince` is found out. */
  stateHash: z.string(),
  /** Lowest sequence known to have shown this state: the one its telemetry item is of. */
  stateSequence: count.optional(),
  /** The baseline knows this state: a heartbeat that had it came in time to teach it. */
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
  /** Names of the programs that feed an engine here. */
  clients: z.array(text(120)).max(LIMITS.CLIENTS_MAX).default([]),
  failedCollectors: z.array(slug).max(LIMITS.COLLECTORS_MAX),
  spoolDropped: count,
  openIncidents: z.array(openIncident),
  /** The daemon's run in the state that this is of. */
  run: runId.optional(),
  identity: identityUse.optional(),
  /** An isolated host that had enrolled from the same mainboard, as of this asset's first heartbeat. */
  isolatedBefore: z.object({ assetId, hostname: text(253) }).optional(),
});
export type PresenceItem = z.infer<typeof presenceItem>;
