import { DynamoFault } from "./dynamo.ts";

const CONFLICTS = new Set([
  "ConditionalCheckFailedException",
  "TransactionConflictException",
  "TransactionInProgressException",
]);
/**
 * Cancellation reasons of a transaction after which a retry can succeed. "None" stands for an item without a
 * problem.
 */
const REASONS = new Set([
  "None",
  "ConditionalCheckFailed",
  "TransactionConflict",
  "ProvisionedThroughputExceeded",
  "ThrottlingError",
  "ThrottlingException",
]);

/**
 * Whether a conditional write or a transaction failed because of another write (optimistic-lock conflict) or
 * because of throttling. Nothing was written, so read again, decide again, and retry (DynamoDB API Reference,
 * "TransactWriteItems", errors).
 */
export function isWriteConflict(error: unknown): boolean {
  if (!(error instanceof DynamoFault)) return false;
  if (error.code !== "TransactionCanceledException") return CONFLICTS.has(error.code);
  return error.reasons.length > 0 && error.reasons.every((reason) => REASONS.has(reason));
}
