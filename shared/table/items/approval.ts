import { z } from "zod";
import { assetId, tenantId } from "../../ids.ts";
import { mode, stopEnginesBy } from "../../wire/heartbeat.ts";
import { isoTimestamp, text } from "../../wire/text.ts";

export const approvalItem = z.object({
  type: z.literal("Approval"),
  tenantId,
  approvalId: z.string(),
  assetId,
  /** The asset's when it was asked: what was isolated or released since is another case. */
  generation: z.int().min(0).optional(),
  mode,
  /** Of mode `stop-engines`: how, by the settings when it was asked. Nothing else is approved. */
  stopEnginesBy: stopEnginesBy.optional(),
  /** Every machine that uses the identity is meant. */
  everyCopy: z.boolean().optional(),
  justification: text(1000),
  requestedBy: text(200),
  /** Of a request by an API key: who made the key, and therefore does not approve it. */
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
