import { z } from "zod";
import { assetId, tenantId } from "../../ids.ts";
import { isoTimestamp, text } from "../../wire/text.ts";

export const enrolmentItem = z.object({
  type: z.literal("Enrolment"),
  tenantId,
  jti: z.string(),
  uses: z.int(),
  /** Limits of the token. Absent for tokens that were created before tokens were recorded. */
  issued: z
    .object({
      usesMax: z.int().min(1),
      at: isoTimestamp,
      by: text(200),
      until: isoTimestamp,
      /** The token gives this asset a new device key instead of enrolling a new asset. */
      assetId: assetId.optional(),
    })
    .optional(),
  revokedAt: isoTimestamp.optional(),
  expiresAt: z.int(),
});
export type EnrolmentItem = z.infer<typeof enrolmentItem>;

/**
 * A device that enrolled with a token. An agent that lost the response repeats the request and gets the same
 * asset.
 */
export const enrolledItem = z.object({
  type: z.literal("Enrolled"),
  tenantId,
  assetId,
  expiresAt: z.int(),
});
