import { z } from "zod";
import { tenantId } from "../../ids.ts";

export const idempotencyItem = z.object({
  type: z.literal("Idempotency"),
  tenantId,
  /** Hash of what was asked: the same key for another request is an error, not an answer. */
  requestHash: z.string(),
  /** `ClientRequestToken` of the transaction: its node knows by it that it was its own, though the answer got lost. */
  token: z.string().optional(),
  /** What the change came to: whoever asks again gets this answer. Holds no secret. */
  result: z.unknown().optional(),
  expiresAt: z.int(),
});
export type IdempotencyItem = z.infer<typeof idempotencyItem>;
