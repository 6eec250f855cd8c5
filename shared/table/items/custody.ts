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
  /** Id of the asset. Absent in a tenant-level record, which is about settings, tokens or keys. */
  assetId: assetId.optional(),
  at: isoTimestamp,
  /**
   * Number of the record in its chain. The first record of an asset, and the first tenant-level record, have
   * the number 1.
   */
  number: z.int().min(1),
  action: z.enum(CUSTODY_ACTIONS),
  /** Mode of an isolation or release. */
  mode: z.enum(MODES).optional(),
  /** How engines are stopped. Only present for an isolation in mode `stop-engines`, and for the request of one. */
  stopEnginesBy: stopEnginesBy.optional(),
  generation: z.int().min(1).optional(),
  /** Id of the changed incident, token or key, or of the other asset in a merge. */
  target: text(200).optional(),
  before: text(4000).optional(),
  after: text(4000).optional(),
  /** The host's report, signed by its device. Only present for the use of a release code. */
  report: provenReport.optional(),
  operatorId: text(200),
  /** Creator of the API key. Only present for an action of an API key. */
  keyMadeBy: text(200).optional(),
  sessionId: text(200),
  sourceIp: text(64),
  requestId: text(100),
  justification: text(1000).optional(),
  /** Hash of the asset's previous record, and hash of the tenant's previous record. Empty for the first record. */
  previousHash: z.string(),
  tenantPreviousHash: z.string(),
  /** Number of the record in the chain of the tenant. The first record has the number 1. */
  tenantNumber: z.int().min(1),
  hash: z.string().regex(/^[0-9a-f]{64}$/),
});
export type AuditItem = z.infer<typeof auditItem>;

export const custodyHeadItem = z.object({
  type: z.literal("CustodyHead"),
  tenantId,
  hash: z.string(),
  count,
  /** Time of the newest record. The next record gets a later time, even if the clock of a node is behind. */
  at: isoTimestamp.optional(),
  /** Hash and number of the newest tenant-level record. */
  ownHash: z.string().optional(),
  ownCount: count.optional(),
  /** Compact JWS over tenant, hash, count and time. It is signed with the control key. */
  checkpoint: z.string(),
});
export type CustodyHeadItem = z.infer<typeof custodyHeadItem>;
