import type { Operations } from "../../../shared/table/dynamo.ts";

/** One item of a DynamoDB transaction. */
export type Write = NonNullable<Operations["TransactWriteItems"][0]["TransactItems"]>[number];
