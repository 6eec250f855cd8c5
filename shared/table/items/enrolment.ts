import { z } from "zod";
import { assetId, tenantId } from "../../ids.ts";
import { isoTimestamp, text } from "../../wire/text.ts";

export const enrolmentItem = z.object({
  type: z.literal("Enrolment"),
  tenantId,
  jti: z.string(),
  uses: z.int(),
  /** What the token's maker said; absent in the item of a token that was made before tokens were recorded. */
  issued: z
    .object({
      usesMax: z.int().min(1),
      at: isoTimestamp,
      by: text(200),
      until: isoTimestamp,
      /** The token gives this asset a new device key instead of making an asset. */
      assetId: assetId.optional(),
    })
    .optional(),
  revokedAt: isoTimestamp.optional(),
  expiresAt: z.int(),
});
export type EnrolmentItem = z.infer<typeof enrolmentItem>;

/** A device that a token let in: an agent that lost the answer asks again and gets the same asset. */
export const enrolledItem = z.object({
  type: z.literal("Enrolled"),
  tenantId,
  assetId,
  expiresAt: z.int(),
});
