import { z } from "zod";
import { OCSF_VERSION } from "../../shared/export/ocsf.ts";
import { EXPIRY_REASONS } from "../../shared/fleet/expiry.ts";
import { assetId } from "../../shared/ids.ts";
import { approvalItem } from "../../shared/table/items/approval.ts";
import { assetItem, provenReport } from "../../shared/table/items/asset/asset.ts";
import { presenceItem } from "../../shared/table/items/asset/presence.ts";
import { telemetryItem } from "../../shared/table/items/asset/telemetry.ts";
import { auditItem, custodyHeadItem } from "../../shared/table/items/custody.ts";
import { employeeItem } from "../../shared/table/items/employee.ts";
import { incidentItem } from "../../shared/table/items/incident.ts";
import { policy } from "../../shared/table/items/policy.ts";
import { MODES, stopEnginesBy } from "../../shared/wire/heartbeat.ts";
import { isoTimestamp } from "../../shared/wire/text.ts";
import { keyId } from "../auth/authenticate-api-key.ts";
import { PERMISSIONS, ROLES } from "../auth/permissions.ts";
import { SKIP_REASONS } from "../control/assets/skip-reasons.ts";
import { named } from "../control/named-schema.ts";
import { settings } from "../control/tenant/settings-schema.ts";

export const callerView = named(
  "Caller",
  z.object({
    tenantId: z.string(),
    userId: z.string(),
    sessionId: z.string(),
    role: z.enum(ROLES),
    impersonated: z.boolean(),
    via: z.enum(["session", "api-key"]),
    keyMadeBy: z
      .string()
      .optional()
      .meta({ description: "User id of the person who created the API key. Absent for a session." }),
    permissions: z.array(z.enum(PERMISSIONS)),
    version: z.string().meta({ description: "Product version of the edge node." }),
  }),
);

export const CONTAINMENT_STATES = [
  "active",
  "pending",
  "acknowledged",
  "enforced",
  "failed",
  "expired",
  "releasing",
  "release-failed",
  "released-offline",
] as const;

export const assetView = named(
  "Asset",
  assetItem
    .pick({
      assetId: true,
      hostname: true,
      employeeId: true,
      os: true,
      arch: true,
      status: true,
      generation: true,
      enrolledAt: true,
      revokedAt: true,
      keyRotatedAt: true,
      supersededBy: true,
      supersedes: true,
      enrolledBefore: true,
    })
    .extend({
      enrolledAgainAs: assetId.optional().meta({
        description:
          "Id of the newer asset with which the same machine enrolled again, according to its hardware fingerprint. Only present when you read a single asset. Absent if this asset has reported since then, and while it is isolated.",
      }),
      lifecycle: z
        .object({
          state: z.enum(["active", "expired"]),
          reason: z
            .enum(EXPIRY_REASONS)
            .optional()
            .meta({ description: "Reason why the asset left the active list." }),
          since: isoTimestamp
            .optional()
            .meta({ description: "Time at which the asset left the active list." }),
        })
        .meta({
          description:
            "Whether the asset is on the active list. An expired asset is not deleted. It returns to the active list with its next heartbeat, unless it was superseded.",
        }),
      containment: z.object({
        state: z
          .enum(CONTAINMENT_STATES)
          .meta({ description: "Requested state combined with what the host has proven." }),
        offline: z.boolean().meta({ description: "True if the host has sent no heartbeat recently." }),
        reason: z.string().optional(),
        mode: z.enum(MODES).optional(),
        stopEnginesBy: stopEnginesBy.optional(),
        requestedAt: isoTimestamp.optional(),
        expiresAt: isoTimestamp.optional(),
        proof: provenReport.optional(),
      }),
      presence: presenceItem.omit({ type: true, tenantId: true, assetId: true, stateHash: true }).optional(),
    }),
);

export const incidentView = named(
  "Incident",
  incidentItem.omit({ type: true, tenantId: true }).extend({ id: z.string() }),
);

export const custodyView = named("CustodyRecord", auditItem.omit({ type: true }));

export const custodyExport = named(
  "CustodyLog",
  z.object({ records: z.array(auditItem), head: custodyHeadItem.optional() }),
);

export const telemetryView = named("TelemetryChange", telemetryItem.options[0]);

export const employeeView = named("Employee", employeeItem.omit({ type: true, tenantId: true }));

export const settingsView = named("Settings", settings);
export const policyView = named("Policy", policy);

export const approvalView = named(
  "Approval",
  approvalItem.omit({ type: true, tenantId: true, expiresAt: true }),
);

export const releaseCodeView = named(
  "ReleaseCode",
  z.object({
    codeId: keyId,
    code: z
      .string()
      .optional()
      .meta({ description: "The release code. Only the first response contains it." }),
    generation: z.int(),
    expiresAt: isoTimestamp,
  }),
);

export const ocsfView = named(
  "OcsfEvent",
  z.looseObject({ class_uid: z.int(), type_uid: z.int(), time: z.int(), metadata: z.looseObject({}) }).meta({
    description: `An event of the Open Cybersecurity Schema Framework ${OCSF_VERSION} (schema.ocsf.io).`,
  }),
);

export const acknowledgedView = named(
  "Acknowledged",
  z.object({
    acknowledged: z.array(z.string()),
    skipped: z.array(z.object({ id: z.string(), reason: z.enum(["not-found", "resolved", "acknowledged"]) })),
  }),
);

export const retiredView = named(
  "ChangedAssets",
  z.object({
    changed: z.array(z.string()),
    skipped: z.array(z.object({ assetId: z.string(), reason: z.enum(SKIP_REASONS) })),
  }),
);

export const problemView = named(
  "Problem",
  z.object({
    type: z.string(),
    status: z.int(),
    code: z.string().meta({ description: "Stable error code for programs, such as `admin.not-found`." }),
    title: z.string(),
    requestId: z.string(),
    detail: z.string().optional(),
    current: z
      .unknown()
      .optional()
      .meta({ description: "Current version of the resource. Only present with status 409." }),
  }),
);

export const pageOf = <Schema extends z.ZodType>(item: Schema) =>
  z.object({
    items: z.array(item),
    cursor: z
      .string()
      .optional()
      .meta({ description: "Send this cursor to read the next page. Absent on the last page." }),
  });
