import { z } from "zod";
import { tenantId } from "../../ids.ts";

export const idempotencyItem = z.object({
  type: z.literal("Idempotency"),
  tenantId,
  /** Hash of the request. Reusing the key for another request is an error. */
  requestHash: z.string(),
  /** `ClientRequestToken` of the transaction. If its response was lost, the node recognises its own write by it. */
  token: z.string().optional(),
  /** Result of the change, returned for repeated requests. Contains no secret. */
  result: z.unknown().optional(),
  expiresAt: z.int(),
});
export type IdempotencyItem = z.infer<typeof idempotencyItem>;
