import type { Asked } from "./policy.ts";

const ACCOUNT = "us-east-1:123456789012";
export const tableArn = (name: string): string => `arn:aws:dynamodb:${ACCOUNT}:table/${name}`;
export const queueArn = (name: string): string => `arn:aws:sqs:${ACCOUNT}:${name}`;

type Attribute = { S?: string };
type Item = Readonly<Record<string, Attribute>>;
type Body = Readonly<Record<string, unknown>> & {
  TableName?: string;
  IndexName?: string;
  Key?: Item;
  Item?: Item;
  QueueUrl?: string;
};

const partitionOf = (key: Item | undefined): string[] => (key?.PK?.S === undefined ? [] : [key.PK.S]);

/**
 * Returns the permissions that one call to DynamoDB or SQS needs. Sources: Service Authorization Reference;
 * "Using IAM with DynamoDB transactions". Throws for operations that are not listed here.
 *
 * @param target the `X-Amz-Target` header, such as `DynamoDB_20120810.GetItem`
 */
export function askedBy(target: string, body: Body): Asked[] {
  const [service = "", operation = ""] = target.split(".");
  if (service === "AmazonSQS") return [askedOfQueue(operation, body)];
  if (!service.startsWith("DynamoDB_")) throw new Error(`${target} is not known`);
  switch (operation) {
    case "TransactWriteItems":
      return askedByTransaction(body.TransactItems as Transacted[]);
    case "TransactGetItems":
      return askedByTransaction(body.TransactItems as Transacted[]);
    case "BatchGetItem":
      return Object.entries(body.RequestItems as Record<string, { Keys: Item[] }>).map(
        ([name, { Keys }]) => ({
          action: "dynamodb:BatchGetItem",
          resource: tableArn(name),
          leadingKeys: Keys.flatMap(partitionOf),
        }),
      );
    case "Query":
      return [
        { action: "dynamodb:Query", resource: resourceOf(body), leadingKeys: [queriedPartition(body)] },
      ];
    case "GetItem":
    case "PutItem":
    case "UpdateItem":
    case "DeleteItem":
      return [
        {
          action: `dynamodb:${operation}`,
          resource: resourceOf(body),
          leadingKeys: partitionOf(body.Key ?? body.Item),
        },
      ];
    case "DescribeTable":
    case "Scan":
    case "BatchWriteItem":
    case "DeleteTable":
    case "UpdateTable":
      return [{ action: `dynamodb:${operation}`, resource: resourceOf(body), leadingKeys: [] }];
    default:
      throw new Error(`${target} is not known`);
  }
}

const resourceOf = ({ TableName, IndexName }: Body): string =>
  IndexName === undefined ? tableArn(TableName!) : `${tableArn(TableName!)}/index/${IndexName}`;

type Transacted = Record<string, { TableName: string; Key?: Item; Item?: Item }>;

/**
 * Permission that each action in a transaction needs: that of the same action on a single item. A transaction
 * has no permission of its own.
 */
const OF_TRANSACTION: Readonly<Record<string, string>> = {
  Put: "PutItem",
  Update: "UpdateItem",
  Delete: "DeleteItem",
  ConditionCheck: "ConditionCheckItem",
  Get: "GetItem",
};

/** Returns one permission for each operation and table of a transaction, with the partition keys of all its items. */
function askedByTransaction(items: readonly Transacted[]): Asked[] {
  const asked = new Map<string, { action: string; resource: string; leadingKeys: string[] }>();
  for (const item of items) {
    const [kind = "", { TableName, Key, Item } = { TableName: "" }] = Object.entries(item)[0] ?? [];
    const operation = OF_TRANSACTION[kind];
    if (operation === undefined) throw new Error(`a transaction has ${kind}, which is not known`);
    const each = { action: `dynamodb:${operation}`, resource: tableArn(TableName) };
    const name = `${each.action} ${each.resource}`;
    const known = asked.get(name) ?? { ...each, leadingKeys: [] };
    known.leadingKeys.push(...partitionOf(Key ?? Item));
    asked.set(name, known);
  }
  return [...asked.values()];
}

/** Returns the partition key value in the key condition of a query, for the table or an index. */
function queriedPartition(body: Body): string {
  const condition = String(body.KeyConditionExpression);
  const name = body.IndexName === undefined ? "PK" : `${body.IndexName}PK`;
  const names = (body.ExpressionAttributeNames ?? {}) as Record<string, string>;
  for (const [, left = "", value = ""] of condition.matchAll(/(#?\w+)\s*=\s*(:\w+)/g))
    if ((names[left] ?? left) === name)
      return (body.ExpressionAttributeValues as Record<string, Attribute>)[value]?.S ?? "";
  throw new Error(`a query names no ${name}: ${condition}`);
}

const OF_QUEUE: Readonly<Record<string, string>> = {
  SendMessage: "SendMessage",
  SendMessageBatch: "SendMessage",
  ReceiveMessage: "ReceiveMessage",
  DeleteMessage: "DeleteMessage",
  DeleteMessageBatch: "DeleteMessage",
  ChangeMessageVisibility: "ChangeMessageVisibility",
  ChangeMessageVisibilityBatch: "ChangeMessageVisibility",
  GetQueueAttributes: "GetQueueAttributes",
};

function askedOfQueue(operation: string, { QueueUrl = "" }: Body): Asked {
  const action = OF_QUEUE[operation];
  if (action === undefined) throw new Error(`AmazonSQS.${operation} is not known`);
  return { action: `sqs:${action}`, resource: queueArn(QueueUrl.split("/").at(-1)!), leadingKeys: [] };
}
