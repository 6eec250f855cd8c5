import { DynamoFault } from "../../shared/table/dynamo.ts";

/** DynamoDB answered about this very request: the same request gets the same answer. */
const REQUEST_FAULTS = new Set([
  "ConditionalCheckFailedException",
  "DuplicateItemException",
  "IdempotentParameterMismatchException",
  "ItemCollectionSizeLimitExceededException",
  "SerializationException",
  "TransactionCanceledException",
  "ValidationException",
]);
/** DynamoDB answers, and takes less than it is given, or is at work on the same item. */
const THROTTLES = new Set([
  "LimitExceededException",
  "ProvisionedThroughputExceededException",
  "RequestLimitExceeded",
  "ThrottlingException",
  "TransactionConflictException",
  "TransactionInProgressException",
]);
/** The table's circuit breaker is open: the call was not made. */
export const CIRCUIT_OPEN = "CircuitOpen";

/** Work that was given up because of load or contention and may succeed later. */
export class BusyFault extends Error {
  override name = "BusyFault";
}

/** The table is away: it does not answer, fails, refuses our credentials, or is not there. */
export const isOutage = (error: unknown): boolean =>
  error instanceof DynamoFault && !REQUEST_FAULTS.has(error.code) && !THROTTLES.has(error.code);

/** The fault is a dependency's, not the heartbeat's: the same work may succeed later. */
export const isPassingFault = (error: unknown): boolean =>
  error instanceof BusyFault ||
  (error instanceof DynamoFault && (isOutage(error) || THROTTLES.has(error.code)));
