import { z } from "zod";
import { assetId, tenantId } from "../../ids.ts";
import { mode, stopEnginesBy } from "../../wire/heartbeat.ts";
import { isoTimestamp, text } from "../../wire/text.ts";

export const approvalItem = z.object({
  type: z.literal("Approval"),
  tenantId,
  approvalId: z.string(),
  assetId,
  /** Generation of the asset at the time of the request. A later isolation or release invalidates the request. */
  generation: z.int().min(0).optional(),
  mode,
  /**
   * How mode `stop-engines` stops engines, according to the settings at the time of the request. The approval
   * is only valid for this value.
   */
  stopEnginesBy: stopEnginesBy.optional(),
  /** True if the isolation applies to every machine that uses the identity. */
  everyCopy: z.boolean().optional(),
  justification: text(1000),
  requestedBy: text(200),
  /** Creator of the API key that made the request. This person cannot approve the request. */
  keyMadeBy: text(200).optional(),
  requestedAt: isoTimestamp,
  validUntil: isoTimestamp,
  approvedBy: text(200).optional(),
  approvedAt: isoTimestamp.optional(),
  deniedBy: text(200).optional(),
  deniedAt: isoTimestamp.optional(),
  expiresAt: z.int(),
});
export type ApprovalItem = z.infer<typeof approvalItem>;
