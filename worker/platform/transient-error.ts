import { DynamoFault } from "../../shared/table/dynamo.ts";

/** Errors about the request itself. Repeating the request gives the same error. */
const REQUEST_FAULTS = new Set([
  "ConditionalCheckFailedException",
  "DuplicateItemException",
  "IdempotentParameterMismatchException",
  "ItemCollectionSizeLimitExceededException",
  "SerializationException",
  "TransactionCanceledException",
  "ValidationException",
]);
/** Errors of throttling, or of a conflicting request on the same item. DynamoDB is available. */
const THROTTLES = new Set([
  "LimitExceededException",
  "ProvisionedThroughputExceededException",
  "RequestLimitExceeded",
  "ThrottlingException",
  "TransactionConflictException",
  "TransactionInProgressException",
]);
/** The circuit breaker of the table is open, so the call was not made. */
export const CIRCUIT_OPEN = "CircuitOpen";

/** Work that was given up because of load or contention. A retry may succeed. */
export class BusyFault extends Error {
  override name = "BusyFault";
}

/** True when the table is unavailable: no response, an internal error, refused credentials, or a missing table. */
export const isOutage = (error: unknown): boolean =>
  error instanceof DynamoFault && !REQUEST_FAULTS.has(error.code) && !THROTTLES.has(error.code);

/** True when a dependency caused the error, not the heartbeat. A retry may succeed. */
export const isTransient = (error: unknown): boolean =>
  error instanceof BusyFault ||
  (error instanceof DynamoFault && (isOutage(error) || THROTTLES.has(error.code)));
