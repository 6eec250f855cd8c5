import { z } from "zod";
import { assetId, slug, tenantId } from "../../../ids.ts";
import { collector, containmentReport, engine, store } from "../../../wire/heartbeat.ts";
import { isoTimestamp, text } from "../../../wire/text.ts";
import { count } from "../count.ts";
import { risk } from "./risk.ts";

export const finding = z.object({
  rule: slug,
  engine: slug,
  engineName: text(80),
  risk: z.enum(["WARNING", "CRITICAL"]),
  points: z.int().min(0).max(100),
  /** The facts of this case in one sentence. */
  explanation: text(400),
  /** Source of the finding. Absent: the source is a rule. */
  source: z.enum(["rule", "baseline", "ai"]).optional(),
});
export type Finding = z.infer<typeof finding>;

/** Result of the LLM review, or the reason why there is no result. */
const adjudication = z.discriminatedUnion("outcome", [
  z.object({
    outcome: z.literal("judged"),
    risk,
    score: z.int().min(0).max(100),
    explanation: text(600),
    model: text(120),
    /** Score before and after the review. */
    before: z.int().min(0).max(100),
    after: z.int().min(0).max(100),
  }),
  z.object({ outcome: z.literal("unavailable"), reason: text(200) }),
]);
export type Adjudication = z.infer<typeof adjudication>;

/** `kind: "change"` contains the complete state. `"sample"` only proves that the asset reported in that interval. */
export const telemetryItem = z.discriminatedUnion("kind", [
  z.object({
    type: z.literal("Telemetry"),
    kind: z.literal("change"),
    tenantId,
    assetId,
    at: isoTimestamp,
    receivedAt: isoTimestamp,
    sequence: count,
    risk,
    score: z.int().min(0).max(100),
    engines: z.array(engine),
    /** Stores of models. Absent if they were not scanned, or if an older agent sent the heartbeat. */
    stores: z.array(store).optional(),
    collectors: z.array(collector),
    containment: containmentReport,
    findings: z.array(finding),
    /** Sentences that describe what is new according to the baseline. */
    novelty: z.array(text(300)).optional(),
    /** Result of the LLM review. Absent if none was needed, because rules and baseline are conclusive. */
    adjudication: adjudication.optional(),
    /** Earliest time of the next attempt. Only set while an LLM review is pending. */
    reviewDueAt: isoTimestamp.optional(),
    /** Number of attempts that returned no verdict. */
    reviewAttempts: count.optional(),
    agentVersion: text(40),
    hostname: text(253),
    expiresAt: z.int(),
  }),
  z.object({
    type: z.literal("Telemetry"),
    kind: z.literal("sample"),
    tenantId,
    assetId,
    at: isoTimestamp,
    expiresAt: z.int(),
  }),
]);
export type TelemetryItem = z.infer<typeof telemetryItem>;

export type TelemetryChange = Extract<TelemetryItem, { kind: "change" }>;
