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
  /** Start of the newest run of the condition. */
  openedAt: isoTimestamp,
  /** Start of the newest state that showed the condition. */
  lastSeenAt: isoTimestamp,
  /** When the incident last got worse while open. */
  escalatedAt: isoTimestamp.optional(),
  /** How often the incident was reopened after it was resolved. */
  reopens: count.optional(),
  acknowledgedAt: isoTimestamp.optional(),
  acknowledgedBy: text(200).optional(),
  resolvedAt: isoTimestamp.optional(),
  /** The person who resolved it. Absent if the quiet period ended. */
  resolvedBy: text(200).optional(),
  resolution: text(1000).optional(),
});
export type IncidentItem = z.infer<typeof incidentItem>;
