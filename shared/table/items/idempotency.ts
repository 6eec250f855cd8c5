import { z } from "zod";
import { tenantId } from "../../ids.ts";

export const idempotencyItem = z.object({
  type: z.literal("Idempotency"),
  tenantId,
  /** Hash of the request. It is an error to use the key for another request. */
  requestHash: z.string(),
  /**
   * `ClientRequestToken` of the transaction. If the response was lost, the node uses this token to recognise
   * its own write.
   */
  token: z.string().optional(),
  /** Result of the change, which is returned for repeated requests. It contains no secret. */
  result: z.unknown().optional(),
  expiresAt: z.int(),
});
export type IdempotencyItem = z.infer<typeof idempotencyItem>;
