import { z } from "zod";
import { assetId, tenantId } from "../../ids.ts";
import { isoTimestamp, text } from "../../wire/text.ts";

export const enrolmentItem = z.object({
  type: z.literal("Enrolment"),
  tenantId,
  jti: z.string(),
  uses: z.int(),
  /** Limits of the token. Absent for a token that was created before tokens were recorded. */
  issued: z
    .object({
      usesMax: z.int().min(1),
      at: isoTimestamp,
      by: text(200),
      until: isoTimestamp,
      /** Asset that gets a new device key with this token. Absent if the token enrols a new asset. */
      assetId: assetId.optional(),
    })
    .optional(),
  revokedAt: isoTimestamp.optional(),
  expiresAt: z.int(),
});
export type EnrolmentItem = z.infer<typeof enrolmentItem>;

/**
 * A device that enrolled with a token. If an agent lost the response, it repeats the request and gets the
 * same asset.
 */
export const enrolledItem = z.object({
  type: z.literal("Enrolled"),
  tenantId,
  assetId,
  expiresAt: z.int(),
});
