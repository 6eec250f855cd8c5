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
  /** One sentence with the facts of this case. */
  explanation: text(400),
  /** Who says so; a rule when absent. */
  source: z.enum(["rule", "baseline", "ai"]).optional(),
});
export type Finding = z.infer<typeof finding>;

/** What the language model added to the rules and the baseline, or why it added nothing. */
export const adjudication = z.discriminatedUnion("outcome", [
  z.object({
    outcome: z.literal("judged"),
    risk,
    score: z.int().min(0).max(100),
    explanation: text(600),
    model: text(120),
    /** Score before and after, so that it can be seen what the model changed. */
    before: z.int().min(0).max(100),
    after: z.int().min(0).max(100),
  }),
  z.object({ outcome: z.literal("unavailable"), reason: text(200) }),
]);
export type Adjudication = z.infer<typeof adjudication>;

/** `kind: "change"` holds the whole state; `"sample"` only proves that the asset reported in that minute. */
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
    /** Absent: not looked for, or by an agent older than this. */
    stores: z.array(store).optional(),
    collectors: z.array(collector),
    containment: containmentReport,
    findings: z.array(finding),
    /** What was new here by the baseline, in words. */
    novelty: z.array(text(300)).optional(),
    /** Absent: it was not asked, because rules and baseline leave no doubt. */
    adjudication: adjudication.optional(),
    /** The language model is still to be asked: not before this time. */
    reviewDueAt: isoTimestamp.optional(),
    /** Tries so far that gave no answer. */
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
