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
  /** 0: every heartbeat becomes an item. */
  telemetryResolutionSeconds: z.int().min(0).max(3600).default(60),
  retentionDays: z.int().min(1).max(3650).default(180),
  quietPeriodSeconds: z
    .int()
    .min(0)
    .max(30 * 24 * 3600)
    .default(900),
  heartbeatIntervalMs: z.int().min(1000).max(600_000).default(5000),
  clientDirectories: z.boolean().default(false),
  /** What the person at an isolated host is told; empty: the agent's own words. */
  isolationNotice: z.union([z.literal(""), text(300)]).default(""),
  /** What isolations in mode `stop-engines` do to the engines, from the next one on. */
  stopEnginesBy: stopEnginesBy.default("suspend"),
  /** Isolating takes a second person. */
  fourEyes: z.boolean().default(false),
  /** Isolations an hour (UTC) at most; 0: no limit. */
  isolationsPerHourMax: z.int().min(0).max(100_000).default(0),
  /**
   * Days without a heartbeat after which a host leaves the active list; 0: it never does. The default outlasts a long
   * holiday, and a laptop that was returned or re-imaged does not count as a silent host for ever.
   */
  assetExpiryDays: z.int().min(0).max(3650).default(30),
  /** Grow by one with each change, so that nobody overwrites what they have not seen. */
  settingsVersion: count.default(0),
  policyVersion: count.default(0),
  webhooksVersion: count.default(0),
  policy: policy.prefault({}),
  webhooks: z.array(webhook).max(WEBHOOKS_MAX).default([]),
});
export type TenantItem = z.infer<typeof tenantItem>;

/** A tenant no admin has configured works with the defaults. */
export const tenantDefaults = (id: string): TenantItem =>
  tenantItem.parse({ type: "Tenant", tenantId: id, name: id });
