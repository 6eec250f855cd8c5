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
  /** Absent in a record on the tenant as a whole: settings, tokens, keys. */
  assetId: assetId.optional(),
  at: isoTimestamp,
  /** 1 for the first record of this asset, or of the tenant as a whole. */
  number: z.int().min(1),
  action: z.enum(CUSTODY_ACTIONS),
  /** Of isolate and release. */
  mode: z.enum(MODES).optional(),
  /** Of an isolation in mode `stop-engines`, and of the request for one. */
  stopEnginesBy: stopEnginesBy.optional(),
  generation: z.int().min(1).optional(),
  /** Id of the incident, token or key that was changed, or of the other asset of a merge. */
  target: text(200).optional(),
  before: text(4000).optional(),
  after: text(4000).optional(),
  /** Of the use of a release code: the host's report, as its device signed it. */
  report: provenReport.optional(),
  operatorId: text(200),
  /** Of what an API key did: who made the key. */
  keyMadeBy: text(200).optional(),
  sessionId: text(200),
  sourceIp: text(64),
  requestId: text(100),
  justification: text(1000).optional(),
  /** Hash of this asset's record before, and of the tenant's newest record before; empty for the first. */
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
  /** Time of the newest record: the next one is later, whatever a node's clock says. */
  at: isoTimestamp.optional(),
  /** Hash and number of the newest record on the tenant as a whole. */
  ownHash: z.string().optional(),
  ownCount: count.optional(),
  /** Compact JWS (control key) over tenant, hash, count and time. */
  checkpoint: z.string(),
});
export type CustodyHeadItem = z.infer<typeof custodyHeadItem>;
