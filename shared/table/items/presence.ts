import { z } from "zod";
import { assetId, slug, tenantId } from "../../ids.ts";
import { ENGINE_KINDS, LIMITS } from "../../wire/heartbeat.ts";
import { isoTimestamp, text } from "../../wire/text.ts";
import { count } from "./count.ts";
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
});
export type PresenceItem = z.infer<typeof presenceItem>;
