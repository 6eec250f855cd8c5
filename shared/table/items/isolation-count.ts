import { z } from "zod";
import { tenantId } from "../../ids.ts";
import { count } from "./count.ts";

export const isolationCountItem = z.object({
  type: z.literal("IsolationCount"),
  tenantId,
  count,
  expiresAt: z.int(),
});
