import { z } from "zod";
import { assetId, tenantId } from "../../../ids.ts";
import { count } from "../count.ts";

/** Maximum number of assets that are stored per machine, newest first. */
export const ASSETS_PER_HARDWARE_MAX = 8;

/**
 * Assets that enrolled from one mainboard, according to the fingerprints that the hosts sent. This index is
 * not signed, so readers compare it with the fingerprint in the signed asset.
 */
export const hardwareItem = z.object({
  type: z.literal("Hardware"),
  tenantId,
  assets: z.array(assetId).min(1).max(ASSETS_PER_HARDWARE_MAX),
  /** Number of enrolments. It is used as an optimistic lock. */
  enrolments: count,
});
export type HardwareItem = z.infer<typeof hardwareItem>;
