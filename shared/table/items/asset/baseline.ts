import { z } from "zod";
import { assetId, tenantId } from "../../../ids.ts";
import { text } from "../../../wire/text.ts";
import { count } from "../count.ts";

/**
 * Baseline of one asset. It contains the days (since 1970, UTC) on which each feature was seen. Days are a
 * set, so a duplicate heartbeat changes nothing.
 */
export const baselineItem = z.object({
  type: z.literal("Baseline"),
  tenantId,
  assetId,
  /** First day in the baseline. During the learning phase, which begins on this day, no feature counts as new. */
  sinceDay: count,
  features: z.record(text(300), z.array(count)),
});
export type BaselineItem = z.infer<typeof baselineItem>;

/** Baseline of one feature over all assets of the tenant. It has one attribute `d<day>` per day. */
export const tenantFeatureItem = z.looseObject({
  type: z.literal("TenantFeature"),
  tenantId,
  feature: text(300),
  expiresAt: z.int(),
});
