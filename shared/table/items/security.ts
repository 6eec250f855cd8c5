import { z } from "zod";
import { tenantId } from "../../ids.ts";
import { isoTimestamp } from "../../wire/text.ts";
import { count } from "./count.ts";

/** Maximum number of listed faults. `faultCount` counts all faults. */
export const FAULTS_NAMED_MAX = 50;

/** Result of the worker's newest signature audit of a tenant. */
export const securityItem = z.object({
  type: z.literal("Security"),
  tenantId,
  /** Time at which the newest audit ended. Absent until the first audit has ended. */
  checkedAt: isoTimestamp.optional(),
  /** Time at which the auditing worker's claim expires. */
  claimedUntil: isoTimestamp.optional(),
  /** Version of the signed head. */
  version: count.default(0),
  items: count.default(0),
  /** Number of records per key that signed them. */
  byKid: z.record(z.string(), count).default({}),
  faultCount: count.default(0),
  faults: z
    .array(z.object({ item: z.string(), code: z.string() }))
    .max(FAULTS_NAMED_MAX)
    .default([]),
});
export type SecurityItem = z.infer<typeof securityItem>;
