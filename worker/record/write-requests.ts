import type { eventPut } from "../../shared/events/event-put.ts";
import { marshalItem, values } from "../../shared/table/dynamo.ts";
import type { PresenceItem } from "../../shared/table/items/asset/presence.ts";
import { alerts, incidentKey, indexSort, presenceKey } from "../../shared/table/keys.ts";
import type { Change } from "./incident-changes.ts";
import type { reviewedUpdate } from "./review-writes.ts";

/** One request of a transaction. */
export type Write =
  | { Put: ReturnType<typeof presencePut> | ReturnType<typeof eventPut> | ReturnType<typeof plainPut> }
  | { Update: ReturnType<typeof incidentUpdate> | ReturnType<typeof reviewedUpdate> }
  | { ConditionCheck: ReturnType<typeof presenceCheck> };

/** Condition that presence still has the revision that was read. */
const unchanged = (before: PresenceItem | undefined) => {
  if (!before) return { ConditionExpression: "attribute_not_exists(PK)" };
  return before.revision === undefined
    ? { ConditionExpression: "attribute_exists(PK) AND attribute_not_exists(revision)" }
    : {
        ConditionExpression: "revision = :revision",
        ExpressionAttributeValues: values({ revision: before.revision }),
      };
};

export function presencePut(presence: PresenceItem, before: PresenceItem | undefined, table: string) {
  const { tenantId, assetId } = presence;
  return {
    TableName: table,
    Item: marshalItem({ ...presenceKey(tenantId, assetId), ...presence }),
    ...unchanged(before),
  };
}

export const presenceCheck = (
  tenantId: string,
  assetId: string,
  before: PresenceItem | undefined,
  table: string,
) => ({
  TableName: table,
  Key: marshalItem(presenceKey(tenantId, assetId)),
  ...unchanged(before),
});

/**
 * Put request without a condition. It is for items that every writer writes with the same content, or that
 * the revision of presence protects.
 */
export const plainPut = (key: object, item: object, table: string) => ({
  TableName: table,
  Item: marshalItem({ ...key, ...item }),
});

/** Attributes of an incident that are removed when they no longer apply. */
const ENDING = [
  "escalatedAt",
  "acknowledgedAt",
  "acknowledgedBy",
  "resolvedAt",
  "resolvedBy",
  "resolution",
  "source",
] as const;

/**
 * Update of an incident that writes the worker's attributes and keeps all others. It fails if status,
 * acknowledgement or resolution changed since the read.
 */
export function incidentUpdate({ item, before }: Change, shards: number, table: string) {
  const { tenantId, assetId, openedAt, risk } = item;
  const isOpen = item.status === "OPEN";
  const set: Record<string, unknown> = {
    ...item,
    ...(isOpen && { GSI2PK: alerts(tenantId, risk), GSI2SK: indexSort(openedAt, assetId) }),
  };
  const gone = [
    ...ENDING.filter((name) => item[name] === undefined),
    ...(isOpen ? [] : ["GSI2PK", "GSI2SK"]),
  ];
  const names = [...Object.keys(set).filter((name) => set[name] !== undefined), ...gone];
  const sets = names.filter((name) => set[name] !== undefined).map((name) => `#${name} = :${name}`);
  const conditions = before
    ? ["#status = :was", ...CHECKED.map((name) => sameAs(name, before[name]))]
    : ["attribute_not_exists(PK)"];
  return {
    TableName: table,
    Key: marshalItem(incidentKey(tenantId, item, shards)),
    UpdateExpression: `SET ${sets.join(", ")}${gone.length > 0 ? ` REMOVE ${gone.map((name) => `#${name}`).join(", ")}` : ""}`,
    ConditionExpression: conditions.join(" AND "),
    ExpressionAttributeNames: Object.fromEntries(
      [...new Set([...names, ...(before ? ["status", ...CHECKED] : [])])].map((name) => [`#${name}`, name]),
    ),
    ExpressionAttributeValues: values({
      ...(Object.fromEntries(Object.entries(set).filter(([, value]) => value !== undefined)) as object),
      ...(before && { was: before.status, ...wasValues(before) }),
    }),
  };
}

const CHECKED = ["acknowledgedAt", "resolvedAt"] as const;
const sameAs = (name: string, value: unknown): string =>
  value === undefined ? `attribute_not_exists(#${name})` : `#${name} = :was_${name}`;
const wasValues = (before: Change["before"]) =>
  Object.fromEntries(
    CHECKED.filter((name) => before?.[name] !== undefined).map((name) => [`was_${name}`, before![name]]),
  );
