import { DynamoFault } from "../../../shared/table/dynamo.ts";

/** Throws what DynamoDB answers to a malformed request. The reason is the `cause`, for whoever reads a failed test. */
export function refuse(reason: string): never {
  throw new DynamoFault("ValidationException", [], { cause: new Error(reason) });
}
