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
import { type Dynamo, DynamoFault, type Operations } from "../shared/table/dynamo.ts";

const COMMANDS = {
  BatchGetItem: BatchGetItemCommand,
  BatchWriteItem: BatchWriteItemCommand,
  DescribeTable: DescribeTableCommand,
  GetItem: GetItemCommand,
  PutItem: PutItemCommand,
  Query: QueryCommand,
  TransactWriteItems: TransactWriteItemsCommand,
  UpdateItem: UpdateItemCommand,
} as const satisfies Record<keyof Operations, unknown>;

/** DynamoDB through the AWS SDK, which retries throttling and passing faults by itself. */
export function createDynamo(client: DynamoDBClient): Dynamo {
  return async (operation, input) => {
    const Command = COMMANDS[operation] as new (input: unknown) => Parameters<typeof client.send>[0];
    try {
      return (await client.send(new Command(input))) as never;
    } catch (error) {
      const { name, CancellationReasons } = error as {
        name: string;
        CancellationReasons?: { Code?: string }[];
      };
      const reasons = CancellationReasons?.map((reason) => reason.Code ?? "None");
      throw new DynamoFault(name, reasons, { cause: error });
    }
  };
}
