import { z } from "zod";
import { assetId, tenantId } from "../../../ids.ts";
import { count } from "../count.ts";

/** Assets kept of one machine, newest first. */
export const ASSETS_PER_HARDWARE_MAX = 8;

/**
 * Assets that enrolled from one mainboard, as the hosts claimed. An index: it is not signed, so readers compare with the
 * fingerprint in the signed asset.
 */
export const hardwareItem = z.object({
  type: z.literal("Hardware"),
  tenantId,
  assets: z.array(assetId).min(1).max(ASSETS_PER_HARDWARE_MAX),
  /** Enrolments so far; a writer that did not see the newest one has to look again. */
  enrolments: count,
});
export type HardwareItem = z.infer<typeof hardwareItem>;
