import { marshalItem, values } from "../../shared/table/dynamo.ts";
import type { TelemetryChange } from "../../shared/table/items/asset/telemetry.ts";
import { indexSort, telemetryKey } from "../../shared/table/keys.ts";
import type { Judgement } from "../heartbeat/telemetry-items.ts";

/** The stored state a review is about: while these are the same it is the one that was reviewed. */
type Reviewed = Pick<TelemetryChange, "tenantId" | "assetId" | "at" | "sequence" | "receivedAt">;

const baseOf = ({ tenantId, assetId, at }: Reviewed, shards: number, table: string) => ({
  TableName: table,
  Key: marshalItem(telemetryKey(tenantId, assetId, at, shards)),
});

/** Holds as long as the item is of the very heartbeat that was reviewed, and still waits for its review. */
const SAME = "#sequence = :sequence AND receivedAt = :receivedAt AND attribute_exists(reviewDueAt)";
const sameNames = { "#sequence": "sequence" };
const sameValues = ({ sequence, receivedAt }: Reviewed) => ({ sequence, receivedAt });

/** Moves the time of the next try, of several workers for one only. `seen`: the time this was decided from. */
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

/** Adds the verdict to the state. The mark stays until presence and incidents follow from it. */
export function verdictUpdate(
  item: Reviewed,
  { risk, score, findings, adjudication }: Judgement,
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

/** Takes the mark away: the review is over. `adjudication`: why there is no verdict, when there is none. */
export function reviewedUpdate(
  item: Reviewed,
  adjudication: Judgement["adjudication"],
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
