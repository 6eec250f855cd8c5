import { DynamoFault } from "../../../shared/table/dynamo.ts";

/**
 * Throws DynamoDB's error for a malformed request. `cause` contains the reason, which helps to understand a
 * failed test.
 */
export function refuse(reason: string): never {
  throw new DynamoFault("ValidationException", [], { cause: new Error(reason) });
}
