import { z } from "zod";
import { tenantId } from "../../ids.ts";
import { isoTimestamp } from "../../wire/text.ts";
import { count } from "./count.ts";

/** Faults that the item names; `faultCount` counts them all. */
export const FAULTS_NAMED_MAX = 50;

/** What the worker's newest check of a tenant's signatures found. */
export const securityItem = z.object({
  type: z.literal("Security"),
  tenantId,
  /** Absent until the first check has ended. */
  checkedAt: isoTimestamp.optional(),
  /** A worker that checks has until then. */
  claimedUntil: isoTimestamp.optional(),
  /** Version of the signed head that was seen. */
  version: count.default(0),
  items: count.default(0),
  /** Records in force by the key that signed them. */
  byKid: z.record(z.string(), count).default({}),
  faultCount: count.default(0),
  faults: z
    .array(z.object({ item: z.string(), code: z.string() }))
    .max(FAULTS_NAMED_MAX)
    .default([]),
});
export type SecurityItem = z.infer<typeof securityItem>;
