import { z } from "zod";
import { tenantId } from "../../ids.ts";
import { stopEnginesBy } from "../../wire/heartbeat.ts";
import { text } from "../../wire/text.ts";
import { SHARDS_DEFAULT } from "../keys.ts";
import { count } from "./count.ts";
import { policy } from "./policy.ts";
import { WEBHOOKS_MAX, webhook } from "./webhook.ts";

export const tenantItem = z.object({
  type: z.literal("Tenant"),
  tenantId,
  name: text(120),
  shards: z.int().min(1).max(100).default(SHARDS_DEFAULT),
  /** Interval in seconds at which an unchanged state is stored. 0: every heartbeat is stored. */
  telemetryResolutionSeconds: z.int().min(0).max(3600).default(60),
  retentionDays: z.int().min(1).max(3650).default(180),
  quietPeriodSeconds: z
    .int()
    .min(0)
    .max(30 * 24 * 3600)
    .default(900),
  heartbeatIntervalMs: z.int().min(1000).max(600_000).default(5000),
  clientDirectories: z.boolean().default(false),
  /** Message for the person at an isolated host. If it is empty, the agent shows its default message. */
  isolationNotice: z.union([z.literal(""), text(300)]).default(""),
  /** How isolations in mode `stop-engines` stop engines. A change applies from the next isolation on. */
  stopEnginesBy: stopEnginesBy.default("suspend"),
  /** Whether isolations need the approval of a second person. */
  fourEyes: z.boolean().default(false),
  /** Maximum number of isolations per hour (UTC). 0: there is no limit. */
  isolationsPerHourMax: z.int().min(0).max(100_000).default(0),
  /**
   * Days without a heartbeat after which a host leaves the active list. 0: hosts never leave the list. The
   * default is longer than a long holiday. Without this limit, returned or re-imaged laptops would count as
   * silent hosts permanently.
   */
  assetExpiryDays: z.int().min(0).max(3650).default(30),
  /**
   * Versions of the settings, the policy and the webhooks. Each increases by one with every change, and is
   * used as an optimistic lock.
   */
  settingsVersion: count.default(0),
  policyVersion: count.default(0),
  webhooksVersion: count.default(0),
  policy: policy.prefault({}),
  webhooks: z.array(webhook).max(WEBHOOKS_MAX).default([]),
});
export type TenantItem = z.infer<typeof tenantItem>;

/** Settings of a tenant that no administrator has configured. */
export const tenantDefaults = (id: string): TenantItem =>
  tenantItem.parse({ type: "Tenant", tenantId: id, name: id });
