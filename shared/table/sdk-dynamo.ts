import {
  BatchGetItemCommand,
  BatchWriteItemCommand,
  DescribeTableCommand,
  type DynamoDBClient,
  GetItemCommand,
  PutItemCommand,
  QueryCommand,
  TransactWriteItemsCommand,
  UpdateItemCommand,
} from "@aws-sdk/client-dynamodb";
import type { Dynamo, Operations } from "./dynamo.ts";

const COMMANDS = {
  BatchGetItem: BatchGetItemCommand,
  BatchWriteItem: BatchWriteItemCommand,
  DescribeTable: DescribeTableCommand,
  GetItem: GetItemCommand,
  PutItem: PutItemCommand,
  Query: QueryCommand,
  TransactWriteItems: TransactWriteItemsCommand,
  UpdateItem: UpdateItemCommand,
} satisfies Record<keyof Operations, unknown>;

/**
 * DynamoDB through the AWS SDK, for command-line tools. The tools need the SDK's credentials and retries, but
 * not the speed of the worker's client. Rejects with errors of the SDK.
 */
export const sdkDynamo = (client: DynamoDBClient): Dynamo => {
  const send = (operation: keyof Operations, input: object) => {
    const Command = COMMANDS[operation] as unknown as new (input: object) => GetItemCommand;
    return client.send(new Command(input));
  };
  return send as unknown as Dynamo;
};
