import type { z } from "zod";
import { tenantItem } from "../../../shared/table/items/tenant.ts";

export const settings = tenantItem
  .pick({
    name: true,
    telemetryResolutionSeconds: true,
    retentionDays: true,
    quietPeriodSeconds: true,
    heartbeatIntervalMs: true,
    clientDirectories: true,
    isolationNotice: true,
    stopEnginesBy: true,
    fourEyes: true,
    isolationsPerHourMax: true,
    assetExpiryDays: true,
  })
  .strict();

export type Settings = z.infer<typeof settings>;
