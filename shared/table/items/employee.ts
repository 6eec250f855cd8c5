import { z } from "zod";
import { employeeId, tenantId } from "../../ids.ts";
import { isoTimestamp } from "../../wire/text.ts";

export const employeeItem = z.object({
  type: z.literal("Employee"),
  tenantId,
  employeeId,
  since: isoTimestamp,
});
export type EmployeeItem = z.infer<typeof employeeItem>;
