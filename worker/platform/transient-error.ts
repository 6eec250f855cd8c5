import { DynamoFault } from "../../shared/table/dynamo.ts";

/** Names of errors about the request itself. Repeating the request gives the same error. */
const REQUEST_FAULTS = new Set([
  "ConditionalCheckFailedException",
  "DuplicateItemException",
  "IdempotentParameterMismatchException",
  "ItemCollectionSizeLimitExceededException",
  "SerializationException",
  "TransactionCanceledException",
  "ValidationException",
]);
/** Names of errors about throttling or a conflicting request on the same item. DynamoDB is available. */
const THROTTLES = new Set([
  "LimitExceededException",
  "ProvisionedThroughputExceededException",
  "RequestLimitExceeded",
  "ThrottlingException",
  "TransactionConflictException",
  "TransactionInProgressException",
]);
/** Error name of a call that was not made, because the circuit breaker of the table is open. */
export const CIRCUIT_OPEN = "CircuitOpen";

/** Error of work that was given up because of load or contention. A retry can succeed. */
export class BusyFault extends Error {
  override name = "BusyFault";
}

/**
 * True if the table is unavailable: there is no response, an internal error, refused credentials or a missing
 * table.
 */
export const isOutage = (error: unknown): boolean =>
  error instanceof DynamoFault && !REQUEST_FAULTS.has(error.code) && !THROTTLES.has(error.code);

/** True if a dependency caused the error, and not the heartbeat. A retry can succeed. */
export const isTransient = (error: unknown): boolean =>
  error instanceof BusyFault ||
  (error instanceof DynamoFault && (isOutage(error) || THROTTLES.has(error.code)));
