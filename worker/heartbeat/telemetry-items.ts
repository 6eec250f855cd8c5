import type { Evaluation } from "../../shared/policy/evaluate/evaluate.ts";
import { marshalItem, values } from "../../shared/table/dynamo.ts";
import type { Adjudication, TelemetryItem } from "../../shared/table/items/asset/telemetry.ts";
import type { TenantItem } from "../../shared/table/items/tenant.ts";
import {
  assetTimeline,
  indexSort,
  reviewQueue,
  telemetryKey,
  timelineDate,
} from "../../shared/table/keys.ts";
import { DAY_MS } from "../../shared/time/durations.ts";
import type { Delivery } from "./parse-heartbeat.ts";
import { later } from "./timeline-position.ts";

/** Assessment of one heartbeat by rules, baseline and LLM review. */
export type Assessment = Evaluation & {
  novelty?: string[];
  adjudication?: Adjudication;
  /** True while an LLM review is pending. */
  isReviewDue?: boolean;
};

/**
 * TTL of an item in epoch seconds: the tenant's retention, counted from the later of event and receipt. If
 * the retention were counted from the event alone, a heartbeat that waited in a spool for long would expire
 * immediately.
 */
export const expiry = (
  { at, receivedAt }: { at: string; receivedAt: string },
  { retentionDays }: Pick<TenantItem, "retentionDays">,
): number => Math.floor(Date.parse(later(at, receivedAt)) / 1000) + retentionDays * 24 * 3600;

export function changeItem(
  delivery: Delivery,
  at: string,
  { isReviewDue, ...assessment }: Assessment,
  tenant: TenantItem,
): TelemetryItem {
  const heartbeat = delivery.heartbeat();
  return {
    type: "Telemetry",
    kind: "change",
    tenantId: delivery.tenantId,
    assetId: delivery.assetId,
    at,
    receivedAt: delivery.receivedAt,
    sequence: heartbeat.sequence,
    ...assessment,
    engines: heartbeat.engines,
    ...(heartbeat.stores && { stores: heartbeat.stores }),
    collectors: heartbeat.collectors,
    containment: heartbeat.containment,
    agentVersion: heartbeat.agent.version,
    hostname: heartbeat.host.hostname,
    ...(isReviewDue && { reviewDueAt: delivery.receivedAt }),
    expiresAt: expiry({ at, receivedAt: delivery.receivedAt }, tenant),
  };
}

/**
 * Put request for a change item, which is indexed in GSI1 (timeline of the asset).
 *
 * If several heartbeats have the state, the item with the lowest sequence number is kept. If one heartbeat
 * was delivered twice, the first receipt is kept. The result therefore does not depend on the order. A change
 * item replaces a sample with the same key.
 */
export function changePut(item: TelemetryItem & { kind: "change" }, tenant: TenantItem, table: string) {
  const { tenantId, assetId, at, sequence, receivedAt, reviewDueAt } = item;
  const index = {
    GSI1PK: assetTimeline(tenantId, assetId),
    GSI1SK: timelineDate(at),
    ...(reviewDueAt !== undefined && {
      GSI2PK: reviewQueue(tenantId),
      GSI2SK: indexSort(reviewDueAt, assetId),
    }),
  };
  return {
    TableName: table,
    Item: marshalItem({ ...telemetryKey(tenantId, assetId, at, tenant.shards), ...index, ...item }),
    ConditionExpression:
      "attribute_not_exists(PK) OR kind = :sample OR #sequence > :sequence OR " +
      "(#sequence = :sequence AND receivedAt > :receivedAt)",
    ExpressionAttributeNames: { "#sequence": "sequence" },
    ExpressionAttributeValues: values({ sample: "sample", sequence, receivedAt }),
  };
}

/**
 * TTL of a sample in epoch seconds. Several heartbeats produce the same sample with different times of
 * receipt, and the first write is kept. The time of receipt counts only if it is more than a day late, so
 * that the order does not matter.
 */
const sampleExpiry = (at: string, receivedAt: string, tenant: TenantItem): number =>
  expiry({ at, receivedAt: Date.parse(receivedAt) - Date.parse(at) > DAY_MS ? receivedAt : at }, tenant);

/**
 * Put request for a sample. A sample is not indexed in GSI1, so it costs one write. It never overwrites a
 * change item.
 */
export function samplePut(
  { tenantId, assetId, receivedAt }: Pick<Delivery, "tenantId" | "assetId" | "receivedAt">,
  at: string,
  tenant: TenantItem,
  table: string,
) {
  const item: TelemetryItem = {
    type: "Telemetry",
    kind: "sample",
    tenantId,
    assetId,
    at,
    expiresAt: sampleExpiry(at, receivedAt, tenant),
  };
  return {
    TableName: table,
    Item: marshalItem({ ...telemetryKey(tenantId, assetId, at, tenant.shards), ...item }),
    ConditionExpression: "attribute_not_exists(PK)",
  };
}
