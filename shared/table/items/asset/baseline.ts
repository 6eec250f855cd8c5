import { z } from "zod";
import { assetId, tenantId } from "../../../ids.ts";
import { text } from "../../../wire/text.ts";
import { count } from "../count.ts";

/**
 * What a tenant's baseline knows of one asset: on which days (since 1970, UTC) each feature was seen. Days are
 * added and fall out, never counted, so a heartbeat that comes twice changes nothing.
 */
export const baselineItem = z.object({
  type: z.literal("Baseline"),
  tenantId,
  assetId,
  /** First day it was taught: before there is a past, nothing is new. */
  sinceDay: count,
  features: z.record(text(300), z.array(count)),
});
export type BaselineItem = z.infer<typeof baselineItem>;

/** The same for one feature over all assets of the tenant; one attribute `d<day>` a day. */
export const tenantFeatureItem = z.looseObject({
  type: z.literal("TenantFeature"),
  tenantId,
  feature: text(300),
  expiresAt: z.int(),
});
