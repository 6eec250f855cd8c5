import { z } from "zod";
import { assetId, slug, tenantId } from "../../ids.ts";
import { isoTimestamp, text } from "../../wire/text.ts";
import { count } from "./count.ts";

export const incidentItem = z.object({
  type: z.literal("Incident"),
  tenantId,
  assetId,
  rule: slug,
  engine: slug,
  engineName: text(80),
  status: z.enum(["OPEN", "RESOLVED"]),
  risk: z.enum(["WARNING", "CRITICAL"]),
  points: z.int(),
  explanation: text(400),
  hostname: text(253),
  source: z.enum(["rule", "baseline", "ai"]).optional(),
  title: text(120).optional(),
  /** MITRE ATLAS technique. */
  atlas: text(40).optional(),
  remediation: text(400).optional(),
  /** Start of the newest period in which the condition existed. */
  openedAt: isoTimestamp,
  /** Start of the newest state in which the condition existed. */
  lastSeenAt: isoTimestamp,
  /** Time at which the open incident last got worse. */
  escalatedAt: isoTimestamp.optional(),
  /** Number of times that the incident was reopened. */
  reopens: count.optional(),
  acknowledgedAt: isoTimestamp.optional(),
  acknowledgedBy: text(200).optional(),
  resolvedAt: isoTimestamp.optional(),
  /** The person who resolved the incident. Absent if it was resolved by the end of the quiet period. */
  resolvedBy: text(200).optional(),
  resolution: text(1000).optional(),
});
export type IncidentItem = z.infer<typeof incidentItem>;
