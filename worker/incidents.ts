import { isConditionFailed, marshalItem, values } from "../shared/table/dynamo.ts";
import type { Finding, OpenIncident } from "../shared/table/items.ts";
import { alerts, incidentKey, indexSort } from "../shared/table/keys.ts";
import type { Deps } from "./deps.ts";
import type { Delivery } from "./read.ts";

/**
 * What is open after a change: every finding, and every incident whose condition is gone but whose quiet period
 * is not over. `seen` are the findings whose incident must be opened or extended.
 */
export function nextIncidents(
  before: readonly OpenIncident[],
  findings: readonly Finding[],
  at: string,
): { open: OpenIncident[]; seen: readonly Finding[] } {
  const open: OpenIncident[] = findings.map(({ rule, engine, risk }) => ({ rule, engine, risk }));
  for (const incident of before) {
    const isPresent = findings.some(
      ({ rule, engine }) => rule === incident.rule && engine === incident.engine,
    );
    if (!isPresent) open.push({ ...incident, absentSince: incident.absentSince ?? at });
  }
  return { open, seen: findings };
}

const IDENTITY = "tenantId = :tenantId, assetId = :assetId, #rule = :rule, engine = :engine, #type = :type";
const FACTS =
  "risk = :risk, points = :points, explanation = :explanation, hostname = :hostname, engineName = :engineName, " +
  "lastSeenAt = :at, GSI2PK = :alerts";
const NAMES = { "#status": "status" };

/** Opens the incident of a finding, opens it again if it was resolved before, or extends it. */
export async function openIncident(
  delivery: Delivery,
  finding: Finding,
  shards: number,
  deps: Deps,
): Promise<void> {
  const { tenantId, assetId, at, heartbeat } = delivery;
  const { rule, engine, engineName, risk, points, explanation } = finding;
  const Key = marshalItem(incidentKey(tenantId, { assetId, rule, engine }, shards));
  const facts = {
    risk,
    points,
    explanation,
    engineName,
    hostname: heartbeat.host.hostname,
    at,
    alerts: alerts(tenantId, risk),
    open: "OPEN",
  };
  try {
    await deps.dynamo("UpdateItem", {
      TableName: deps.table,
      Key,
      UpdateExpression: `SET ${IDENTITY}, ${FACTS}, #status = :open, openedAt = :at, GSI2SK = :sort REMOVE resolvedAt, resolution`,
      ConditionExpression: "attribute_not_exists(PK) OR (#status = :resolved AND resolvedAt < :at)",
      ExpressionAttributeNames: { ...NAMES, "#type": "type", "#rule": "rule" },
      ExpressionAttributeValues: values({
        ...facts,
        type: "Incident",
        tenantId,
        assetId,
        rule,
        engine,
        sort: indexSort(at, assetId),
        resolved: "RESOLVED",
      }),
    });
  } catch (error) {
    if (!isConditionFailed(error)) throw error;
    await extendIncident(Key, facts, deps);
  }
}

async function extendIncident(
  Key: ReturnType<typeof marshalItem>,
  facts: Parameters<typeof values>[0],
  deps: Deps,
) {
  try {
    await deps.dynamo("UpdateItem", {
      TableName: deps.table,
      Key,
      UpdateExpression: `SET ${FACTS}`,
      ConditionExpression: "#status = :open AND lastSeenAt < :at",
      ExpressionAttributeNames: NAMES,
      ExpressionAttributeValues: values(facts),
    });
  } catch (error) {
    if (!isConditionFailed(error)) throw error; // else: known already, from this heartbeat or a newer one
  }
}

/** Takes the incident out of GSI2: nobody has to look at it any more. */
export async function resolveIncident(
  { tenantId, assetId, at }: Delivery,
  { rule, engine }: OpenIncident,
  shards: number,
  deps: Deps,
): Promise<void> {
  try {
    await deps.dynamo("UpdateItem", {
      TableName: deps.table,
      Key: marshalItem(incidentKey(tenantId, { assetId, rule, engine }, shards)),
      UpdateExpression: "SET #status = :resolved, resolvedAt = :at, resolution = :why REMOVE GSI2PK, GSI2SK",
      ConditionExpression: "#status = :open AND lastSeenAt <= :at",
      ExpressionAttributeNames: NAMES,
      ExpressionAttributeValues: values({
        at,
        resolved: "RESOLVED",
        open: "OPEN",
        why: "the condition was gone for the quiet period",
      }),
    });
  } catch (error) {
    if (!isConditionFailed(error)) throw error;
  }
}
