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

const slugs = (max: number) => z.array(slug).max(max).default([]);
/** Patterns; `*` stands for any run of characters, case does not matter: `llama3*`. */
const patterns = (max: number, preset: string[] = []) => z.array(text(260)).max(max).default(preset);
const digests = z
  .array(z.string().regex(/^[0-9a-f]{64}$/))
  .max(500)
  .default([]);
const clockTime = z.string().regex(/^([01]\d|2[0-3]):[0-5]\d$/);

/**
 * What the company allows. Every field has a default, so `{}` is a whole policy: it approves no engine and no
 * model (everything found is told), allows loopback only, and leaves unchecked what no list was given for.
 * docs/policy.md explains each field.
 */
export const policy = z.strictObject({
  approvedEngines: slugs(200),
  bannedEngines: slugs(200),
  approvedModels: patterns(500),
  bannedModels: patterns(500),
  /** Empty: publishers are not checked. */
  approvedPublishers: patterns(200),
  bannedPublishers: patterns(200),
  /** Empty: licences are not checked. */
  approvedLicences: patterns(200),
  bannedLicences: patterns(200),
  /** Who may reach an engine: this host alone, others with a credential, anybody. */
  exposure: z.enum(["loopback", "authenticated", "any"]).default("loopback"),
  /** Asks for a credential on loopback too. */
  requireAuthentication: z.boolean().default(false),
  /** SHA-256 of executables. Empty: not checked. */
  approvedExecutables: digests,
  bannedExecutables: digests,
  /** Where no engine should run from. */
  suspectPaths: patterns(100, [
    "/tmp/*",
    "/var/tmp/*",
    "/dev/shm/*",
    "~/Downloads/*",
    "*\\Downloads\\*",
    "*\\Temp\\*",
    "/Volumes/*",
  ]),
  /** Accounts no engine should run under. */
  privilegedUsers: patterns(20, ["root", "SYSTEM", "NT AUTHORITY\\*", "Administrator"]),
  /** Empty: clients are not checked. */
  approvedClients: patterns(200),
  bannedClients: patterns(200),
  /** Working directories whose contents must not reach a model. Needs `clientDirectories` in the settings. */
  protectedDirectories: patterns(200),
  /** Outside of these hours an engine in use is told. Absent: any hour is fine. */
  workingHours: z
    .strictObject({
      /** ISO weekdays, 1 is Monday. */
      days: z.array(z.int().min(1).max(7)).min(1).max(7),
      from: clockTime,
      /** Later than `from`, the same day. */
      to: clockTime,
      /** Minutes east of UTC, daylight saving not considered. */
      utcOffsetMinutes: z.int().min(-720).max(840).default(0),
    })
    .refine(({ from, to }) => from < to, "from must be before to")
    .optional(),
  /** Largest weights file in bytes; 0: any size. */
  modelBytesMax: count.default(32 * 2 ** 30),
  /** Oldest version of an engine that may run, by engine id. */
  engineVersionsMin: z.record(slug, text(40)).default({}),
  /** Known vulnerabilities the company has accepted. */
  acceptedCves: z
    .array(z.string().regex(/^(CVE|GHSA)-[A-Za-z0-9-]{4,40}$/))
    .max(200)
    .default([]),
  agentVersionMin: text(40).optional(),
  /** The agent's catalogue of engines may be this old; 0: any age. */
  catalogueAgeDaysMax: z.int().min(0).max(3650).default(90),
  /** Sources that must see. `unsupported` is not told: no setting of the host would change it. */
  requiredCollectors: z.array(slug).max(LIMITS.COLLECTORS_MAX).default(["processes", "listeners"]),
  /** Heartbeats an agent may have lost since enrolment. */
  spoolDroppedMax: count.default(0),
  /** Heartbeats that may wait on a host: an hour of them at the default interval. */
  spoolWaitingMax: count.default(720),
  disabledRules: slugs(100),
});
export type Policy = z.infer<typeof policy>;

export const WEBHOOK_EVENTS = [
  "incident.opened",
  "incident.reopened",
  "incident.escalated",
  "incident.resolved",
  "isolation.requested",
  "isolation.proven",
  "isolation.failed",
  "release.requested",
  "isolation.released",
  "webhook.test",
] as const;

/** Where a tenant wants to be told (standardwebhooks.com). */
export const webhook = z.strictObject({
  id: slug,
  url: z.url({ protocol: /^https?$/ }).max(2000),
  /** `whsec_` and 24 to 64 bytes in base64. */
  secret: z.string().regex(/^whsec_[A-Za-z0-9+/]{32,88}={0,2}$/),
  /** Empty: every event. */
  events: z.array(z.enum(WEBHOOK_EVENTS)).max(WEBHOOK_EVENTS.length).default([]),
});
export type Webhook = z.infer<typeof webhook>;

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
  /** Isolating takes a second person. */
  fourEyes: z.boolean().default(false),
  /** Isolations an hour (UTC) at most; 0: no limit. */
  isolationsPerHourMax: z.int().min(0).max(100_000).default(0),
  /** Grow by one with each change, so that nobody overwrites what they have not seen. */
  settingsVersion: count.default(0),
  policyVersion: count.default(0),
  policy: policy.prefault({}),
  webhooks: z.array(webhook).max(10).default([]),
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
  /** Generation whose release by a code is in the custody log. */
  offlineReleaseOf: count.optional(),
  /** When the device key was last replaced. */
  keyRotatedAt: isoTimestamp.optional(),
});
export type AssetItem = z.infer<typeof assetItem>;

/** An incident that is open for an asset, kept with its presence so that closing needs no query. */
export const openIncident = z.object({
  rule: slug,
  engine: slug,
  risk: z.enum(["WARNING", "CRITICAL"]),
  /** Since when, by the agent's clock, the condition is gone. */
  absentSince: isoTimestamp.optional(),
});
export type OpenIncident = z.infer<typeof openIncident>;

/** Newest word of an asset. Kept under 1 KiB where it can be, for it is written often. */
export const presenceItem = z.object({
  type: z.literal("Presence"),
  tenantId,
  assetId,
  /** Time up to which the asset was seen: of a change the time of the change, else the start of the interval. */
  lastSeenAt: isoTimestamp,
  sequence: count,
  /** Grows with every write; a writer that has not seen the newest one has to look again. */
  revision: count.optional(),
  /** Timestamp in the key of the telemetry item that holds the state the asset is in. */
  stateAt: isoTimestamp,
  stateSince: isoTimestamp,
  /** Worker's own hash of the state: a changed state behind an unchanged `stateSince` is found out. */
  stateHash: z.string(),
  /** Lowest sequence known to have shown this state: the one its telemetry item is of. */
  stateSequence: count.optional(),
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
  /** Who says so; a rule when absent. */
  source: z.enum(["rule", "baseline", "ai"]).optional(),
});
export type Finding = z.infer<typeof finding>;

/** What the language model added to the rules and the baseline, or why it added nothing. */
export const adjudication = z.discriminatedUnion("outcome", [
  z.object({
    outcome: z.literal("judged"),
    risk,
    score: z.int().min(0).max(100),
    explanation: text(600),
    model: text(120),
    /** Score before and after, so that it can be seen what the model changed. */
    before: z.int().min(0).max(100),
    after: z.int().min(0).max(100),
  }),
  z.object({ outcome: z.literal("unavailable"), reason: text(200) }),
]);
export type Adjudication = z.infer<typeof adjudication>;

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
    /** What was new here by the baseline, in words. */
    novelty: z.array(text(300)).optional(),
    /** Absent: it was not asked, because rules and baseline leave no doubt. */
    adjudication: adjudication.optional(),
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
  source: z.enum(["rule", "baseline", "ai"]).optional(),
  title: text(120).optional(),
  /** MITRE ATLAS technique. */
  atlas: text(40).optional(),
  remediation: text(400).optional(),
  /** Start of the newest run of the condition. */
  openedAt: isoTimestamp,
  /** Start of the newest state that showed it. */
  lastSeenAt: isoTimestamp,
  /** When it last got worse while open. */
  escalatedAt: isoTimestamp.optional(),
  /** How often it came back after it was resolved. */
  reopens: count.optional(),
  acknowledgedAt: isoTimestamp.optional(),
  acknowledgedBy: text(200).optional(),
  resolvedAt: isoTimestamp.optional(),
  /** The person who did; absent when the quiet period did. */
  resolvedBy: text(200).optional(),
  resolution: text(1000).optional(),
});
export type IncidentItem = z.infer<typeof incidentItem>;

export const CUSTODY_ACTIONS = [
  "isolate",
  "release",
  "request-isolation",
  "create-release-code",
  "release-offline",
  "revoke",
  "rotate-key",
  "acknowledge",
  "resolve",
  "change-settings",
  "change-policy",
  "create-enrolment-token",
  "revoke-enrolment-token",
  "create-api-key",
  "revoke-api-key",
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
  generation: z.int().min(1).optional(),
  /** Id of the incident, token or key that was changed. */
  target: text(200).optional(),
  before: text(4000).optional(),
  after: text(4000).optional(),
  operatorId: text(200),
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

export const approvalItem = z.object({
  type: z.literal("Approval"),
  tenantId,
  approvalId: z.string(),
  assetId,
  mode,
  justification: text(1000),
  requestedBy: text(200),
  requestedAt: isoTimestamp,
  validUntil: isoTimestamp,
  approvedBy: text(200).optional(),
  approvedAt: isoTimestamp.optional(),
  expiresAt: z.int(),
});
export type ApprovalItem = z.infer<typeof approvalItem>;

export const isolationCountItem = z.object({
  type: z.literal("IsolationCount"),
  tenantId,
  count,
  expiresAt: z.int(),
});

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

export const enrolmentItem = z.object({
  type: z.literal("Enrolment"),
  tenantId,
  jti: z.string(),
  uses: z.int(),
  /** What the token's maker said; absent in the item of a token that was made before tokens were recorded. */
  issued: z
    .object({
      usesMax: z.int().min(1),
      at: isoTimestamp,
      by: text(200),
      until: isoTimestamp,
      /** The token gives this asset a new device key instead of making an asset. */
      assetId: assetId.optional(),
    })
    .optional(),
  revokedAt: isoTimestamp.optional(),
  expiresAt: z.int(),
});
export type EnrolmentItem = z.infer<typeof enrolmentItem>;

/** A device that a token let in: an agent that lost the answer asks again and gets the same asset. */
export const enrolledItem = z.object({
  type: z.literal("Enrolled"),
  tenantId,
  assetId,
  expiresAt: z.int(),
});

/** A machine's key to the admin API. The secret itself is stored nowhere. */
export const apiKeyItem = z.object({
  type: z.literal("ApiKey"),
  tenantId,
  keyId: assetId,
  name: text(120),
  role: z.enum(["viewer", "analyst", "responder", "admin"]),
  /** Absent: all that the role may do. */
  scopes: z.array(slug).max(16).optional(),
  /** SHA-256 of the secret, hex. */
  secretHash: z.string().regex(/^[0-9a-f]{64}$/),
  createdAt: isoTimestamp,
  createdBy: text(200),
  validUntil: isoTimestamp,
  revokedAt: isoTimestamp.optional(),
  expiresAt: z.int(),
});
export type ApiKeyItem = z.infer<typeof apiKeyItem>;

export const idempotencyItem = z.object({
  type: z.literal("Idempotency"),
  tenantId,
  /** Hash of what was asked: the same key for another request is an error, not an answer. */
  requestHash: z.string(),
  /** What the change came to: whoever asks again gets this answer. Holds no secret. */
  result: z.unknown().optional(),
  expiresAt: z.int(),
});
export type IdempotencyItem = z.infer<typeof idempotencyItem>;

/**
 * What a tenant's baseline knows of one asset: on which days (since 1970, UTC) each feature was seen. Days are
 * added and fall out, never counted, so a heartbeat that comes twice changes nothing.
 */
export const baselineItem = z.object({
  type: z.literal("Baseline"),
  tenantId,
  assetId,
  /** Day of the first heartbeat: before there is a past, nothing is new. */
  sinceDay: count,
  features: z.record(text(300), z.array(count)),
});
export type BaselineItem = z.infer<typeof baselineItem>;

/** The same for one feature over all assets of the tenant; one attribute `d<day>` a day. */
export const tenantFeatureItem = z.looseObject({
  type: z.literal("TenantFeature"),
  tenantId,
  feature: text(300),
  expiresAt: z.int(),
});

/** A verdict of the language model, kept so that the same question is asked once. */
export const verdictItem = z.object({
  type: z.literal("Verdict"),
  tenantId,
  fingerprint: z.string(),
  risk,
  score: z.int().min(0).max(100),
  explanation: text(600),
  model: text(120),
  expiresAt: z.int(),
});
export type VerdictItem = z.infer<typeof verdictItem>;

/** How far one event got on its way to one webhook. */
export const forward = z.object({
  attempts: count,
  deliveredAt: isoTimestamp.optional(),
  /** Given up: told in the log, the metrics, here and in the webhook's own item. */
  deadAt: isoTimestamp.optional(),
  lastError: text(200).optional(),
});

/** Something the company may want to be told of; webhooks and the SIEM export read the same items. */
export const eventItem = z.object({
  type: z.literal("Event"),
  tenantId,
  /** When it was recorded here, not when it happened: what is read by cursor must not appear behind it. */
  recordedAt: isoTimestamp,
  /** Id for the receiver too: the same event never has two. */
  eventId: z.string().regex(/^[A-Za-z0-9_-]{1,100}$/),
  kind: z.enum(WEBHOOK_EVENTS),
  /** When it happened, by the clock of whoever caused it. */
  at: isoTimestamp,
  assetId: assetId.optional(),
  hostname: text(253).optional(),
  /** Facts of the event; strings, numbers and booleans only. */
  data: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])),
  /** By webhook id. */
  forwards: z.record(slug, forward).default({}),
  nextAttemptAt: isoTimestamp.optional(),
  expiresAt: z.int(),
});
export type EventItem = z.infer<typeof eventItem>;

/** How a webhook is doing: a failed forward is itself visible. */
export const webhookHealthItem = z.object({
  type: z.literal("WebhookHealth"),
  tenantId,
  webhookId: slug,
  lastDeliveredAt: isoTimestamp.optional(),
  lastFailedAt: isoTimestamp.optional(),
  lastError: text(200).optional(),
  /** Events given up since the last one that got through. */
  dead: count.default(0),
});
export type WebhookHealthItem = z.infer<typeof webhookHealthItem>;

/** Throws with the item's key when what is stored is not what the code understands: never a guess. */
export function decodeItem<Schema extends z.ZodType>(schema: Schema, stored: AttributeMap): z.infer<Schema> {
  const parsed = schema.safeParse(unmarshalItem(stored));
  if (parsed.success) return parsed.data;
  const paths = parsed.error.issues.map((issue) => issue.path.join(".")).join(", ");
  throw new Error(`cannot read item ${stored.PK?.S} / ${stored.SK?.S}: ${paths}`);
}
