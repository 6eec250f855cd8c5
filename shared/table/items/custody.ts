import { z } from "zod";
import { assetId, tenantId } from "../../ids.ts";
import { MODES, stopEnginesBy } from "../../wire/heartbeat.ts";
import { isoTimestamp, text } from "../../wire/text.ts";
import { provenReport } from "./asset/asset.ts";
import { count } from "./count.ts";

export const CUSTODY_ACTIONS = [
  "isolate",
  "release",
  "request-isolation",
  "deny-isolation",
  "create-release-code",
  "release-offline",
  "revoke",
  "expire",
  "merge",
  "rotate-key",
  "acknowledge",
  "resolve",
  "change-settings",
  "change-policy",
  "create-enrolment-token",
  "revoke-enrolment-token",
  "create-api-key",
  "revoke-api-key",
  "create-webhook",
  "change-webhook",
  "rotate-webhook-secret",
  "delete-webhook",
  "test-webhook",
  "resend-deliveries",
] as const;

export const auditItem = z.object({
  type: z.literal("Audit"),
  tenantId,
  /** Absent in a tenant-level record: settings, tokens and keys. */
  assetId: assetId.optional(),
  at: isoTimestamp,
  /** 1 for the first record of this asset, or the first tenant-level record. */
  number: z.int().min(1),
  action: z.enum(CUSTODY_ACTIONS),
  /** Mode of an isolation or release. */
  mode: z.enum(MODES).optional(),
  /** For an isolation in mode `stop-engines`, and for the request of one. */
  stopEnginesBy: stopEnginesBy.optional(),
  generation: z.int().min(1).optional(),
  /** Id of the changed incident, token or key, or of the other asset of a merge. */
  target: text(200).optional(),
  before: text(4000).optional(),
  after: text(4000).optional(),
  /** For the use of a release code: the host's report, signed by its device. */
  report: provenReport.optional(),
  operatorId: text(200),
  /** For an action of an API key: the creator of the key. */
  keyMadeBy: text(200).optional(),
  sessionId: text(200),
  sourceIp: text(64),
  requestId: text(100),
  justification: text(1000).optional(),
  /** Hash of the previous record of this asset, and of the tenant's previous record. Empty for the first one. */
  previousHash: z.string(),
  tenantPreviousHash: z.string(),
  /** 1 for the first record of the tenant. */
  tenantNumber: z.int().min(1),
  hash: z.string().regex(/^[0-9a-f]{64}$/),
});
export type AuditItem = z.infer<typeof auditItem>;

export const custodyHeadItem = z.object({
  type: z.literal("CustodyHead"),
  tenantId,
  hash: z.string(),
  count,
  /** Time of the newest record. The next one gets a later time, even if a node's clock is behind. */
  at: isoTimestamp.optional(),
  /** Hash and number of the newest tenant-level record. */
  ownHash: z.string().optional(),
  ownCount: count.optional(),
  /** Compact JWS (control key) over tenant, hash, count and time. */
  checkpoint: z.string(),
});
export type CustodyHeadItem = z.infer<typeof custodyHeadItem>;
