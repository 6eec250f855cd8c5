/** Names and keys of the table. Every partition key begins with the tenant, including those of the indexes. */

export const TABLE_NAME = "LifecycleZero_Assets";
export const GSI1 = "GSI1";
export const GSI2 = "GSI2";
export const TTL_ATTRIBUTE = "expiresAt";
export const SHARDS_DEFAULT = 10;

export type Key = { PK: string; SK: string };

const tenantPartition = (tenantId: string) => `TENANT#${tenantId}`;

export const tenantKey = (tenantId: string): Key => ({ PK: tenantPartition(tenantId), SK: "METADATA" });

export const employeeKey = (tenantId: string, employeeId: string): Key => ({
  PK: tenantPartition(tenantId),
  SK: `EMP#${employeeId}`,
});

export const assetKey = (tenantId: string, assetId: string): Key => ({
  PK: tenantPartition(tenantId),
  SK: `ASSET#${assetId}`,
});
export const ASSET_PREFIX = "ASSET#";

export const presenceKey = (tenantId: string, assetId: string): Key => ({
  PK: tenantPartition(tenantId),
  SK: `PRESENCE#${assetId}`,
});
export const PRESENCE_PREFIX = "PRESENCE#";

/** Key of an asset's inventory, which contains its models with metadata and its clients. */
export const inventoryKey = (tenantId: string, assetId: string): Key => ({
  PK: tenantPartition(tenantId),
  SK: `INVENTORY#${assetId}`,
});
export const INVENTORY_PREFIX = "INVENTORY#";

/**
 * Key of the newest counts. `~` sorts after every hour. Reading backwards therefore returns the newest counts
 * first and then the newest hours.
 */
export const fleetSummaryKey = (tenantId: string): Key => ({
  PK: tenantPartition(tenantId),
  SK: "FLEET#~",
});
/** Key of the counts of one hour, for example `2026-11-21T23`. */
export const fleetHourKey = (tenantId: string, hour: string): Key => ({
  PK: tenantPartition(tenantId),
  SK: `FLEET#${hour}`,
});
export const FLEET_PREFIX = "FLEET#";

export const EMPLOYEE_PREFIX = "EMP#";

/** Key of a custody record. `at` is a fixed-width UTC timestamp. */
export const auditKey = (tenantId: string, assetId: string, at: string): Key => ({
  PK: tenantPartition(tenantId),
  SK: `AUDIT#${assetId}#${at}`,
});
/**
 * Key of a tenant-level custody record. It cannot equal the key of an asset's record, because `TENANT` is not
 * a ULID.
 */
export const tenantAuditKey = (tenantId: string, at: string): Key => ({
  PK: tenantPartition(tenantId),
  SK: `AUDIT#TENANT#${at}`,
});
export const auditPrefix = (assetId?: string) => (assetId ? `AUDIT#${assetId}#` : "AUDIT#");

/** Key of a request that a second person must approve. `approvalId` is a ULID, so the newest request sorts last. */
export const approvalKey = (tenantId: string, approvalId: string): Key => ({
  PK: tenantPartition(tenantId),
  SK: `APPROVAL#${approvalId}`,
});
export const APPROVAL_PREFIX = "APPROVAL#";

export const ISOLATION_COUNT_PREFIX = "ISOLATIONS#";
/** Key of the counter of isolations in one hour, for example `2026-11-21T23`. */
export const isolationCountKey = (tenantId: string, hour: string): Key => ({
  PK: tenantPartition(tenantId),
  SK: `${ISOLATION_COUNT_PREFIX}${hour}`,
});

/** Key of the item for the head of the tenant's custody chain. */
export const custodyHeadKey = (tenantId: string): Key => ({
  PK: tenantPartition(tenantId),
  SK: "CUSTODY#HEAD",
});

export const enrolmentKey = (tenantId: string, jti: string): Key => ({
  PK: tenantPartition(tenantId),
  SK: `ENROL#${jti}`,
});

export const ENROLLED_PREFIX = "ENROLLED#";

/**
 * Key of an enrolled device. There is one item per device, so that a token for a large fleet does not exceed
 * the size limit of an item.
 */
export const enrolledKey = (tenantId: string, jti: string, deviceKey: string): Key => ({
  PK: tenantPartition(tenantId),
  SK: `${ENROLLED_PREFIX}${jti}#${deviceKey}`,
});

/** Key of the item that lists the assets enrolled from one mainboard. `hardwareId` is the mainboard's fingerprint. */
export const hardwareKey = (tenantId: string, hardwareId: string): Key => ({
  PK: tenantPartition(tenantId),
  SK: `HARDWARE#${hardwareId}`,
});

export const ENROLMENT_PREFIX = "ENROL#";

export const apiKeyKey = (tenantId: string, keyId: string): Key => ({
  PK: tenantPartition(tenantId),
  SK: `APIKEY#${keyId}`,
});
export const API_KEY_PREFIX = "APIKEY#";

export const idempotencyKey = (tenantId: string, key: string): Key => ({
  PK: tenantPartition(tenantId),
  SK: `IDEMPOTENCY#${key}`,
});

/** Key of the newest signature audit of a tenant. */
export const securityKey = (tenantId: string): Key => ({ PK: tenantPartition(tenantId), SK: "SECURITY" });

/**
 * Key of an authority record. These records have their own partition, so that an IAM policy on
 * `dynamodb:LeadingKeys` can restrict writes to admin nodes. `itemSortKey` is the sort key of the signed
 * item.
 */
export const authorityKey = (tenantId: string, itemSortKey: string): Key => ({
  PK: `${tenantPartition(tenantId)}#AUTHORITY`,
  SK: itemSortKey,
});
/** Key of the tenant's authority head. No other item of a tenant has this sort key. */
export const authorityHeadKey = (tenantId: string): Key => authorityKey(tenantId, "HEAD");

/** Key of the authority record of a newly enrolled device. Enrol nodes can write to its partition. */
export const deviceRecordKey = (tenantId: string, assetId: string): Key => ({
  PK: `${tenantPartition(tenantId)}#DEVICES`,
  SK: `ASSET#${assetId}`,
});

/**
 * Shard of an asset, which is a hash (FNV-1a, 32 bit) of its id. It spreads writes like a random number. A
 * redelivered message gets the same key, and the history of one asset stays in one partition.
 */
export function shardOf(assetId: string, shards: number): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < assetId.length; i++) hash = Math.imul(hash ^ assetId.charCodeAt(i), 0x01000193);
  return (hash >>> 0) % shards;
}

export const telemetryShard = (tenantId: string, shard: number) =>
  `TENANT#${tenantId}#TELEMETRY#SHARD#${shard}`;
export const telemetryPartition = (tenantId: string, assetId: string, shards: number) =>
  telemetryShard(tenantId, shardOf(assetId, shards));

export const telemetryKey = (tenantId: string, assetId: string, at: string, shards: number): Key => ({
  PK: telemetryPartition(tenantId, assetId, shards),
  SK: `TELEMETRY#${assetId}#${at}`,
});

/** Key of an incident. It consists of asset, rule and engine, so there is only one incident for each combination. */
export const incidentKey = (tenantId: string, id: IncidentName, shards: number): Key => ({
  PK: telemetryPartition(tenantId, id.assetId, shards),
  SK: `INCIDENT#${id.assetId}#${id.rule}#${id.engine}`,
});
export const INCIDENT_PREFIX = "INCIDENT#";
export const incidentPrefix = (assetId: string) => `INCIDENT#${assetId}#`;

export type IncidentName = { assetId: string; rule: string; engine: string };

/** Incident id of the API. It consists of the three parts of the incident's name, none of which can contain a dot. */
export const incidentId = (name: IncidentName) => `${name.assetId}.${name.rule}.${name.engine}`;

export const employeeAssets = (tenantId: string, employeeId: string) =>
  `${tenantPartition(tenantId)}#EMP#${employeeId}`;
export const assetState = (status: string) => `STATE#${status}`;

export const assetTimeline = (tenantId: string, assetId: string) =>
  `${tenantPartition(tenantId)}#ASSET#${assetId}`;
export const timelineDate = (at: string) => `DATE#${at}`;

/**
 * Partition of a sparse index. It contains an asset from its isolation until its release is proven, and while
 * the asset is revoked.
 */
export const actionRequired = (tenantId: string) => `${tenantPartition(tenantId)}#ACTION_REQ`;

/** Partition of a sparse index. It contains only open incidents. */
export const alerts = (tenantId: string, risk: "WARNING" | "CRITICAL") =>
  `${tenantPartition(tenantId)}#ALERT#${risk}`;

export const indexSort = (at: string, assetId: string) => `${at}#${assetId}`;

/** Key of a baseline. It is in the partition of the asset's telemetry, so that writes are spread equally. */
export const baselineKey = (tenantId: string, assetId: string, shards: number): Key => ({
  PK: telemetryPartition(tenantId, assetId, shards),
  SK: `BASELINE#${assetId}`,
});

export const tenantFeatureKey = (tenantId: string, feature: string): Key => ({
  PK: `${tenantPartition(tenantId)}#BASELINE`,
  SK: `FEATURE#${feature}`,
});

export const verdictKey = (tenantId: string, fingerprint: string): Key => ({
  PK: `${tenantPartition(tenantId)}#VERDICTS`,
  SK: `VERDICT#${fingerprint}`,
});

export const eventsPartition = (tenantId: string) => `${tenantPartition(tenantId)}#EVENTS`;

/** Key of an event. It begins with `recordedAt`, so events are read in the order in which they were recorded. */
export const eventKey = (tenantId: string, recordedAt: string, eventId: string): Key => ({
  PK: eventsPartition(tenantId),
  SK: `EVENT#${recordedAt}#${eventId}`,
});
export const EVENT_PREFIX = "EVENT#";

/** Partition of the sparse index GSI2 for events with pending deliveries, sorted by the time of the next attempt. */
export const outbox = (tenantId: string) => `${tenantPartition(tenantId)}#OUTBOX`;

/**
 * Partition of the sparse index GSI2 for states with a pending LLM review, sorted by the time of the next
 * attempt.
 */
export const reviewQueue = (tenantId: string) => `${tenantPartition(tenantId)}#REVIEW`;

export const webhookHealthKey = (tenantId: string, webhookId: string): Key => ({
  PK: tenantPartition(tenantId),
  SK: `WEBHOOK#${webhookId}`,
});
