import type { Operations } from "../../../shared/table/dynamo.ts";

/** One write or condition check of a DynamoDB transaction. */
export type Write = NonNullable<Operations["TransactWriteItems"][0]["TransactItems"]>[number];
