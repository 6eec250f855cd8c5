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
import type { Delivery } from "./parse-heartbeat.ts";
import { later } from "./timeline-position.ts";

/** All that was made out of one heartbeat. */
export type Judgement = Evaluation & {
  novelty?: string[];
  adjudication?: Adjudication;
  /** The language model is still to be asked. */
  isReviewDue?: boolean;
};

/**
 * Epoch second from which DynamoDB may delete an item: the tenant's retention after the later of event and receipt. A
 * heartbeat that waited in a spool for long would otherwise expire as it is written.
 */
export const expiry = (
  { at, receivedAt }: { at: string; receivedAt: string },
  { retentionDays }: Pick<TenantItem, "retentionDays">,
): number => Math.floor(Date.parse(later(at, receivedAt)) / 1000) + retentionDays * 24 * 3600;

export function changeItem(
  delivery: Delivery,
  at: string,
  { isReviewDue, ...judgement }: Judgement,
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
    ...judgement,
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
 * Put of a change. Of all heartbeats that had the state the one with the lowest sequence is kept (and of the same
 * one told twice the one received first): whatever the order, the same item stays. It takes the place of a sample
 * that happens to have its key. In GSI1, which the timeline of an asset is read from.
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

const DAY_MS = 24 * 3600 * 1000;

/**
 * Several heartbeats make the same sample, each with its own time of receipt, and the first one written stays. So that it
 * does not matter which, only a receipt more than a day late counts.
 */
const sampleExpiry = (at: string, receivedAt: string, tenant: TenantItem): number =>
  expiry({ at, receivedAt: Date.parse(receivedAt) - Date.parse(at) > DAY_MS ? receivedAt : at }, tenant);

/** Put of a sample: not in GSI1, so it costs one write, and never over a change. */
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
