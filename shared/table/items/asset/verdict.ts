import { z } from "zod";
import { tenantId } from "../../../ids.ts";
import { text } from "../../../wire/text.ts";
import { risk } from "./risk.ts";

/** A cached verdict of the language model, so that the same evidence is reviewed only once. */
export const verdictItem = z.object({
  type: z.literal("Verdict"),
  tenantId,
  fingerprint: z.string(),
  risk,
  score: z.int().min(0).max(100),
  explanation: text(600),
  model: text(120),
  expiresAt: z.int(),
});
export type VerdictItem = z.infer<typeof verdictItem>;
