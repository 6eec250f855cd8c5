import { marshalItem, values } from "../../shared/table/dynamo.ts";
import type { TelemetryChange } from "../../shared/table/items/asset/telemetry.ts";
import { indexSort, telemetryKey } from "../../shared/table/keys.ts";
import type { Assessment } from "../heartbeat/telemetry-items.ts";

/** Identifies the stored state that was reviewed. If any of these members differs, the state has been replaced. */
type Reviewed = Pick<TelemetryChange, "tenantId" | "assetId" | "at" | "sequence" | "receivedAt">;

const baseOf = ({ tenantId, assetId, at }: Reviewed, shards: number, table: string) => ({
  TableName: table,
  Key: marshalItem(telemetryKey(tenantId, assetId, at, shards)),
});

/** Condition that the item is still from the reviewed heartbeat and that its review is pending. */
const SAME = "#sequence = :sequence AND receivedAt = :receivedAt AND attribute_exists(reviewDueAt)";
const sameNames = { "#sequence": "sequence" };
const sameValues = ({ sequence, receivedAt }: Reviewed) => ({ sequence, receivedAt });

/**
 * Update that sets the time of the next attempt. It succeeds for one worker only. `seen`: the time that this
 * worker read.
 */
export function reviewDueUpdate(
  item: Reviewed,
  { seen, due, attempts }: { seen: string; due: string; attempts: number },
  shards: number,
  table: string,
) {
  return {
    ...baseOf(item, shards, table),
    UpdateExpression: "SET reviewDueAt = :due, GSI2SK = :sort, reviewAttempts = :attempts",
    ConditionExpression: `${SAME} AND reviewDueAt = :seen`,
    ExpressionAttributeNames: sameNames,
    ExpressionAttributeValues: values({
      ...sameValues(item),
      due,
      seen,
      attempts,
      sort: indexSort(due, item.assetId),
    }),
  };
}

/** Update that adds the verdict to the state. The review stays pending until presence and incidents are updated. */
export function verdictUpdate(
  item: Reviewed,
  { risk, score, findings, adjudication }: Assessment,
  shards: number,
  table: string,
) {
  return {
    ...baseOf(item, shards, table),
    UpdateExpression: "SET risk = :risk, score = :score, findings = :findings, adjudication = :adjudication",
    ConditionExpression: SAME,
    ExpressionAttributeNames: sameNames,
    ExpressionAttributeValues: values({
      ...sameValues(item),
      risk,
      score,
      findings,
      adjudication: adjudication!,
    }),
  };
}

/** Update that ends the review. `adjudication`: reason for a missing verdict, or undefined if there is a verdict. */
export function reviewedUpdate(
  item: Reviewed,
  adjudication: Assessment["adjudication"],
  shards: number,
  table: string,
) {
  return {
    ...baseOf(item, shards, table),
    UpdateExpression: `${adjudication ? "SET adjudication = :adjudication " : ""}REMOVE reviewDueAt, reviewAttempts, GSI2PK, GSI2SK`,
    ConditionExpression: SAME,
    ExpressionAttributeNames: sameNames,
    ExpressionAttributeValues: values({ ...sameValues(item), ...(adjudication && { adjudication }) }),
  };
}
