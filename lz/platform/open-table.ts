import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import type { Dynamo } from "../../shared/table/dynamo.ts";
import { TABLE_NAME } from "../../shared/table/keys.ts";
import { sdkDynamo } from "../../shared/table/sdk-dynamo.ts";
import { clientCredentials } from "./aws-credentials.ts";
import { openStack } from "./connect.ts";
import type { Deps } from "./deps.ts";

export type OpenTable = { dynamo: Dynamo; table: string; close: () => void };

/**
 * Opens the table that AWS_REGION, DYNAMODB_ENDPOINT and LZ_TABLE name. Without them, opens the table of the
 * local stack.
 */
export function openTable(deps: Pick<Deps, "env" | "root">): OpenTable {
  const { env } = deps;
  const endpoint = env.DYNAMODB_ENDPOINT ?? (env.AWS_REGION ? undefined : openStack(deps).dynamodbEndpoint);
  const client = new DynamoDBClient({
    region: env.AWS_REGION ?? "us-east-1",
    ...(endpoint !== undefined && { endpoint }),
    ...clientCredentials(endpoint, env),
  });
  return { dynamo: sdkDynamo(client), table: env.LZ_TABLE ?? TABLE_NAME, close: () => client.destroy() };
}
