import { type AttributeMap, type Dynamo, DynamoFault } from "../../../shared/table/dynamo.ts";
import { copyOfItem, itemSize } from "./attribute-value.ts";
import { type Condition, holds, parseCondition } from "./condition.ts";
import { type Placeholders, parseProjection, project, Scope } from "./expression.ts";
import { checkedItem, checkedKey, Items, idOf, isValidation } from "./item.ts";
import { type QueryInput, query } from "./query.ts";
import { applyUpdate, parseUpdate, type Update } from "./update.ts";
import { refuse } from "./validation-fault.ts";

/**
 * The product's table in memory, with the semantics and limits of DynamoDB.
 * tests/support/dynamo/dynamo-conformance.ts runs the same cases against this table and the embedded
 * DynamoDB. Every operation is atomic and resolves in a later turn of the event loop, so callers interleave
 * as they would over a network.
 */
export type MemoryDynamo = {
  dynamo: Dynamo;
  /** Every item in the table by its key. */
  items: ReadonlyMap<string, AttributeMap>;
  /** Number of calls for each operation. */
  calls: Map<string, number>;
};

type WriteInput = Placeholders & {
  TableName: string;
  Key?: AttributeMap;
  Item?: AttributeMap;
  ConditionExpression?: string;
  UpdateExpression?: string;
};
type WriteKind = "Put" | "Update" | "Delete" | "ConditionCheck";

/** A write from a valid request. The write is executed only if its condition holds for the stored item. */
type Write = { id: string; key: AttributeMap; condition?: Condition } & (
  | { kind: "Put"; item: AttributeMap }
  | { kind: "Update"; update: Update }
  | { kind: "Delete" | "ConditionCheck" }
);

/** Limits from the API Reference page of each operation. */
const TRANSACTION_WRITES_MAX = 100;
const TRANSACTION_BYTES_MAX = 4 * 1024 * 1024;
const BATCH_GET_MAX = 100;
const BATCH_WRITE_MAX = 25;
const TOKEN_LENGTH_MAX = 36;

/**
 * Request parameters that this table supports. The table throws for any other parameter, so that no parameter
 * is silently ignored.
 */
const PLACEHOLDERS = ["ExpressionAttributeNames", "ExpressionAttributeValues"];
const PARAMETERS: Record<string, readonly string[]> = {
  GetItem: ["TableName", "Key", "ConsistentRead", "ProjectionExpression", ...PLACEHOLDERS],
  BatchGetItem: ["RequestItems"],
  BatchWriteItem: ["RequestItems"],
  PutItem: ["TableName", "Item", "ConditionExpression", ...PLACEHOLDERS],
  UpdateItem: ["TableName", "Key", "UpdateExpression", "ConditionExpression", ...PLACEHOLDERS],
  TransactWriteItems: ["TransactItems", "ClientRequestToken"],
  Query: [
    "TableName",
    "IndexName",
    "KeyConditionExpression",
    "FilterExpression",
    "ProjectionExpression",
    "ExclusiveStartKey",
    "Limit",
    "ScanIndexForward",
    "Select",
    "ConsistentRead",
    ...PLACEHOLDERS,
  ],
};

/**
 * Creates a table in memory. `turn` resolves when the next operation can continue, so a test can decide the
 * order.
 */
export function createMemoryDynamo(turn: () => Promise<void> = async () => {}): MemoryDynamo {
  const items = new Items();
  const calls = new Map<string, number>();
  const tokens = new Map<string, string>();

  const isMet = ({ condition, id }: Write): boolean => !condition || holds(condition, items.get(id) ?? {});

  /** Returns the item after a write. Undefined if the write deletes the item. */
  function outcome(write: Write): AttributeMap | undefined {
    if (write.kind === "Put") return write.item;
    if (write.kind === "Delete") return undefined;
    const before = items.get(write.id);
    return write.kind === "Update" ? checkedItem(applyUpdate(write.update, before ?? write.key)) : before;
  }

  function store(id: string, item: AttributeMap | undefined): void {
    if (item) items.set(id, item);
    else items.delete(id);
  }

  function write(kind: WriteKind, input: WriteInput): void {
    const parsed = parseWrite(kind, input);
    if (!isMet(parsed)) throw new DynamoFault("ConditionalCheckFailedException");
    store(parsed.id, outcome(parsed));
  }

  function transact(input: {
    TransactItems?: Record<string, WriteInput>[];
    ClientRequestToken?: string;
  }): void {
    const { TransactItems: parts = [], ClientRequestToken: token } = input;
    if (parts.length < 1 || parts.length > TRANSACTION_WRITES_MAX)
      refuse("a transaction takes 1 to 100 writes");
    const writes = parts.map(parsePart);
    if (new Set(writes.map(({ id }) => id)).size !== writes.length)
      refuse("a transaction has two writes to an item");
    if (token !== undefined && (token.length < 1 || token.length > TOKEN_LENGTH_MAX))
      refuse("a token has 1 to 36 characters");
    const text = JSON.stringify(parts);
    const before = token === undefined ? undefined : tokens.get(token);
    if (before === text) return;
    if (before !== undefined) throw new DynamoFault("IdempotentParameterMismatchException");
    const results = writes.map(attempt);
    if (results.some(({ reason }) => reason !== "None"))
      throw new DynamoFault(
        "TransactionCanceledException",
        results.map(({ reason }) => reason),
      );
    const bytes = results.reduce((sum, { item }) => sum + (item ? itemSize(item) : 0), 0);
    if (bytes > TRANSACTION_BYTES_MAX) refuse("the items of a transaction are over 4 MB");
    for (const [index, { id }] of writes.entries()) store(id, results[index]!.item);
    if (token !== undefined) tokens.set(token, text);
  }

  function attempt(one: Write): { reason: string; item?: AttributeMap | undefined } {
    if (!isMet(one)) return { reason: "ConditionalCheckFailed" };
    try {
      return { reason: "None", item: outcome(one) };
    } catch (error) {
      if (isValidation(error)) return { reason: "ValidationError" };
      throw error;
    }
  }

  function get(input: WriteInput & { ProjectionExpression?: string }) {
    const found = items.get(idOf(checkedKey(input.Key)));
    const scope = new Scope(input);
    const paths =
      input.ProjectionExpression === undefined
        ? undefined
        : parseProjection(input.ProjectionExpression, scope);
    scope.expectAllUsed();
    return found ? { Item: copyOfItem(paths ? project(found, paths) : found) } : {};
  }

  function batchGet(requests: Record<string, { Keys: AttributeMap[] }>) {
    const [table, { Keys }] = onlyEntry(requests);
    const ids = Keys.map((key) => idOf(checkedKey(key)));
    checkBatch(ids, BATCH_GET_MAX);
    const found = ids.map((id) => items.get(id)).filter((item) => item !== undefined);
    return { Responses: { [table]: found.map(copyOfItem) }, UnprocessedKeys: {} };
  }

  function batchWrite(requests: Record<string, Record<string, WriteInput>[]>) {
    const [TableName, parts] = onlyEntry(requests);
    const writes = parts.map((part) => {
      const [kind, input] = onlyEntry(part);
      return parseWrite(kind === "PutRequest" ? "Put" : "Delete", { ...input, TableName });
    });
    checkBatch(
      writes.map(({ id }) => id),
      BATCH_WRITE_MAX,
    );
    for (const one of writes) store(one.id, outcome(one));
    return { UnprocessedItems: {} };
  }

  const dynamo = async (operation: string, input: never): Promise<unknown> => {
    await turn();
    calls.set(operation, (calls.get(operation) ?? 0) + 1);
    const known = PARAMETERS[operation];
    if (!known) throw new Error(`the table in memory cannot ${operation}`);
    for (const name of Object.keys(input))
      if (!known.includes(name)) throw new Error(`the table in memory knows no ${name} of ${operation}`);
    checkTable(operation, input);
    const plain = input as WriteInput & { RequestItems: never };
    switch (operation) {
      case "GetItem":
        return get(plain);
      case "BatchGetItem":
        return batchGet(plain.RequestItems);
      case "BatchWriteItem":
        return batchWrite(plain.RequestItems);
      case "PutItem":
        return write("Put", plain) ?? {};
      case "UpdateItem":
        return write("Update", plain) ?? {};
      case "TransactWriteItems":
        return transact(input) ?? {};
      default:
        return query(items, input as QueryInput);
    }
  };
  return { dynamo: dynamo as unknown as Dynamo, items, calls };
}

function parsePart(part: Record<string, WriteInput>): Write {
  const [kind, input] = onlyEntry(part);
  if (!["Put", "Update", "Delete", "ConditionCheck"].includes(kind)) refuse(`unknown write ${kind}`);
  checkTable(kind, input);
  return parseWrite(kind as WriteKind, input);
}

function parseWrite(kind: WriteKind, input: WriteInput): Write {
  const item = kind === "Put" ? checkedItem(input.Item) : undefined;
  const key = item ?? checkedKey(input.Key);
  const scope = new Scope(input);
  const update =
    kind === "Update"
      ? parseUpdate(input.UpdateExpression ?? refuse("UpdateExpression is missing"), ["PK", "SK"], scope)
      : undefined;
  const condition =
    input.ConditionExpression === undefined ? undefined : parseCondition(input.ConditionExpression, scope);
  if (kind === "ConditionCheck" && !condition) refuse("ConditionExpression is missing");
  scope.expectAllUsed();
  const base = { id: idOf(key), key, ...(condition && { condition }) };
  if (item) return { ...base, kind: "Put", item };
  if (update) return { ...base, kind: "Update", update };
  return { ...base, kind: kind as "Delete" | "ConditionCheck" };
}

function checkTable(operation: string, { TableName }: { TableName?: string }): void {
  if (PARAMETERS[operation]?.includes("TableName") === false) return;
  if (!TableName || TableName.length > 1024) refuse("TableName has 1 to 1024 characters");
}

function onlyEntry<T>(record: Record<string, T> | undefined): [string, T] {
  const entries = Object.entries(record ?? {});
  if (entries.length !== 1) refuse("this table takes one entry here");
  return entries[0]!;
}

function checkBatch(ids: readonly string[], most: number): void {
  if (ids.length < 1 || ids.length > most) refuse(`a batch takes 1 to ${most} keys`);
  if (new Set(ids).size !== ids.length) refuse("a batch names an item twice");
}
