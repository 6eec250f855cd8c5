import { z } from "zod";
import { assetId, employeeId, slug, tenantId } from "../ids.ts";
import { deviceKey } from "../wire/enrolment.ts";
import {
  collector,
  containmentReport,
  ENGINE_KINDS,
  engine,
  LIMITS,
  MODES,
  mode,
} from "../wire/heartbeat.ts";
import { isoTimestamp, text } from "../wire/text.ts";
import { type AttributeMap, unmarshalItem } from "./dynamo.ts";
import { SHARDS_DEFAULT } from "./keys.ts";

export const RISKS = ["INFO", "WARNING", "CRITICAL"] as const;
export const risk = z.enum(RISKS);
export type Risk = z.infer<typeof risk>;

const count = z.int().min(0);

/** What the company allows. Empty lists approve nothing: everything found is then told. */
export const policy = z.strictObject({
  approvedEngines: z.array(slug).max(200).default([]),
  /** Model name patterns; `*` stands for any run of characters: `llama3*`. */
  approvedModels: z.array(text(200)).max(500).default([]),
});
export type Policy = z.infer<typeof policy>;

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
  policy: policy.default({ approvedEngines: [], approvedModels: [] }),
});
export type TenantItem = z.infer<typeof tenantItem>;

/** A tenant no admin has configured works with the defaults. */
export const tenantDefaults = (id: string): TenantItem =>
  tenantItem.parse({ type: "Tenant", tenantId: id, name: id });

export const employeeItem = z.object({
  type: z.literal("Employee"),
  tenantId,
  employeeId,
  since: isoTimestamp,
});
export type EmployeeItem = z.infer<typeof employeeItem>;

export const ASSET_STATUSES = ["ACTIVE", "ISOLATED"] as const;

/** The newest change an admin made to an asset's containment, and the directive that carries it out. */
export const wish = z.object({
  generation: z.int().min(1),
  action: z.enum(["isolate", "release"]),
  mode,
  requestedAt: isoTimestamp,
  expiresAt: isoTimestamp,
  directive: z.string(),
});
export type Wish = z.infer<typeof wish>;

export const assetItem = z.object({
  type: z.literal("Asset"),
  tenantId,
  assetId,
  employeeId,
  hostname: text(253),
  os: text(120),
  arch: text(20),
  deviceKey,
  enrolledAt: isoTimestamp,
  /** What the admin wants. What is proven stands in `proof`. */
  status: z.enum(ASSET_STATUSES),
  generation: count,
  wish: wish.optional(),
  /** The agent's report on the newest generation it obeyed. */
  proof: containmentReport.optional(),
  /** Hash and number of this asset's newest custody record. */
  custodyHash: z.string().optional(),
  custodyCount: count,
  revokedAt: isoTimestamp.optional(),
});
export type AssetItem = z.infer<typeof assetItem>;

/** An incident that is open for an asset, kept with its presence so that closing needs no query. */
export const openIncident = z.object({
  rule: slug,
  engine: slug,
  risk: z.enum(["WARNING", "CRITICAL"]),
  /** `sentAt` of the first heartbeat in a row that no longer showed the condition. */
  absentSince: isoTimestamp.optional(),
});
export type OpenIncident = z.infer<typeof openIncident>;

/** Newest word of an asset. Kept under 1 KiB where it can be, for it is written often. */
export const presenceItem = z.object({
  type: z.literal("Presence"),
  tenantId,
  assetId,
  lastSeenAt: isoTimestamp,
  sequence: count,
  /** Timestamp in the key of the telemetry item that holds the state the asset is in. */
  stateAt: isoTimestamp,
  stateSince: isoTimestamp,
  /** Worker's own hash of the state: a changed state behind an unchanged `stateSince` is found out. */
  stateHash: z.string(),
  sampledAt: isoTimestamp,
  intervalMs: count,
  agentVersion: text(40),
  catalogue: text(40),
  hostname: text(253),
  risk,
  score: z.int().min(0).max(100),
  engines: z
    .array(z.object({ id: slug, name: text(80), kind: z.enum(ENGINE_KINDS), confidence: z.int() }))
    .max(LIMITS.ENGINES_MAX),
  models: z.array(text(200)).max(LIMITS.MODELS_MAX),
  failedCollectors: z.array(slug).max(LIMITS.COLLECTORS_MAX),
  spoolDropped: count,
  openIncidents: z.array(openIncident),
});
export type PresenceItem = z.infer<typeof presenceItem>;

export const finding = z.object({
  rule: slug,
  engine: slug,
  engineName: text(80),
  risk: z.enum(["WARNING", "CRITICAL"]),
  points: z.int().min(0).max(100),
  /** One sentence with the facts of this case. */
  explanation: text(400),
});
export type Finding = z.infer<typeof finding>;

/** `kind: "change"` holds the whole state; `"sample"` only proves that the asset reported in that minute. */
export const telemetryItem = z.discriminatedUnion("kind", [
  z.object({
    type: z.literal("Telemetry"),
    kind: z.literal("change"),
    tenantId,
    assetId,
    at: isoTimestamp,
    receivedAt: isoTimestamp,
    sequence: count,
    risk,
    score: z.int().min(0).max(100),
    engines: z.array(engine),
    collectors: z.array(collector),
    containment: containmentReport,
    findings: z.array(finding),
    agentVersion: text(40),
    hostname: text(253),
    expiresAt: z.int(),
  }),
  z.object({
    type: z.literal("Telemetry"),
    kind: z.literal("sample"),
    tenantId,
    assetId,
    at: isoTimestamp,
    expiresAt: z.int(),
  }),
]);
export type TelemetryItem = z.infer<typeof telemetryItem>;
export type TelemetryChange = Extract<TelemetryItem, { kind: "change" }>;

export const incidentItem = z.object({
  type: z.literal("Incident"),
  tenantId,
  assetId,
  rule: slug,
  engine: slug,
  engineName: text(80),
  status: z.enum(["OPEN", "RESOLVED"]),
  risk: z.enum(["WARNING", "CRITICAL"]),
  points: z.int(),
  explanation: text(400),
  hostname: text(253),
  openedAt: isoTimestamp,
  lastSeenAt: isoTimestamp,
  resolvedAt: isoTimestamp.optional(),
  resolution: text(200).optional(),
});
export type IncidentItem = z.infer<typeof incidentItem>;

export const auditItem = z.object({
  type: z.literal("Audit"),
  tenantId,
  assetId,
  at: isoTimestamp,
  /** 1 for the first record of this asset. */
  number: z.int().min(1),
  action: z.enum(["isolate", "release"]),
  mode: z.enum(MODES),
  generation: z.int().min(1),
  before: z.enum(ASSET_STATUSES),
  after: z.enum(ASSET_STATUSES),
  operatorId: text(200),
  sessionId: text(200),
  sourceIp: text(64),
  requestId: text(100),
  justification: text(1000),
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
  /** Compact JWS (control key) over tenant, hash, count and time. */
  checkpoint: z.string(),
});
export type CustodyHeadItem = z.infer<typeof custodyHeadItem>;

export const enrolmentItem = z.object({
  type: z.literal("Enrolment"),
  tenantId,
  jti: z.string(),
  uses: z.int(),
  /** deviceKey → assetId: an agent that lost the answer asks again and gets the same one. */
  devices: z.record(z.string(), assetId),
  expiresAt: z.int(),
});
export type EnrolmentItem = z.infer<typeof enrolmentItem>;

export const idempotencyItem = z.object({
  type: z.literal("Idempotency"),
  tenantId,
  /** Hash of what was asked: the same key for another request is an error, not an answer. */
  requestHash: z.string(),
  assetId,
  generation: z.int(),
  expiresAt: z.int(),
});
export type IdempotencyItem = z.infer<typeof idempotencyItem>;

/** Throws with the item's key when what is stored is not what the code understands: never a guess. */
export function decodeItem<Schema extends z.ZodType>(schema: Schema, stored: AttributeMap): z.infer<Schema> {
  const parsed = schema.safeParse(unmarshalItem(stored));
  if (parsed.success) return parsed.data;
  const paths = parsed.error.issues.map((issue) => issue.path.join(".")).join(", ");
  throw new Error(`cannot read item ${stored.PK?.S} / ${stored.SK?.S}: ${paths}`);
}
