import type { AttributeMap } from "../../../shared/table/dynamo.ts";
import { compareStrings, copyOfItem, itemSize } from "./attribute-value.ts";
import { holds, parseCondition, pathsOf } from "./condition.ts";
import { type Placeholders, parseProjection, project, Scope } from "./expression.ts";
import { INDEX_KEYS, type Items, idOf, TABLE_KEYS } from "./item.ts";
import { type KeyNames, parseKeyCondition } from "./key-condition.ts";
import { refuse } from "./validation-fault.ts";

/**
 * Maximum size of a page, before the filter: "A single Query operation can retrieve a maximum of 1 MB of
 * data" (API Reference).
 */
const PAGE_BYTES_MAX = 1024 * 1024;

export type QueryInput = Placeholders & {
  TableName: string;
  IndexName?: string;
  KeyConditionExpression?: string;
  FilterExpression?: string;
  ProjectionExpression?: string;
  ExclusiveStartKey?: AttributeMap;
  Limit?: number;
  ScanIndexForward?: boolean;
  Select?: string;
  ConsistentRead?: boolean;
};

export function query(items: Items, input: QueryInput) {
  const keys = input.IndexName === undefined ? TABLE_KEYS : INDEX_KEYS[input.IndexName];
  if (!keys) refuse(`there is no index ${input.IndexName}`);
  if (input.IndexName !== undefined && input.ConsistentRead) refuse("a global index has no consistent read");
  if (input.Limit !== undefined && !(Number.isInteger(input.Limit) && input.Limit >= 1))
    refuse("Limit must be at least 1");
  if (input.KeyConditionExpression === undefined) refuse("KeyConditionExpression is missing");
  const isCount = input.Select === "COUNT";
  if (input.ProjectionExpression !== undefined && isCount) refuse("COUNT takes no projection");
  const scope = new Scope(input);
  const { matches, partition } = parseKeyCondition(input.KeyConditionExpression, keys, scope);
  const filter = filterOf(input.FilterExpression, keys, scope);
  const paths =
    input.ProjectionExpression === undefined ? undefined : parseProjection(input.ProjectionExpression, scope);
  scope.expectAllUsed();
  const order = orderOf(keys, input.ScanIndexForward === false ? -1 : 1);
  const candidates = keys === TABLE_KEYS ? items.inPartition(partition) : items.values();
  const found = [...candidates].filter(matches).sort(order);
  const start = input.ExclusiveStartKey && checkedStart(input.ExclusiveStartKey, keys, matches);
  const rest = start ? found.filter((item) => order(item, start) > 0) : found;
  const { seen, isCut } = page(rest, input.Limit);
  const kept = seen.filter((item) => !filter || holds(filter, item));
  const last = isCut ? seen.at(-1) : undefined;
  return {
    Count: kept.length,
    ScannedCount: seen.length,
    ...(!isCount && { Items: kept.map((item) => copyOfItem(paths ? project(item, paths) : item)) }),
    ...(last && { LastEvaluatedKey: startOf(last, keys) }),
  };
}

function filterOf(text: string | undefined, { partition, sort }: KeyNames, scope: Scope) {
  if (text === undefined) return undefined;
  const filter = parseCondition(text, scope);
  const names = pathsOf(filter).map((path) => path[0]);
  if (names.includes(partition) || names.includes(sort)) refuse("a filter cannot name a key");
  return filter;
}

const orderOf =
  ({ sort }: KeyNames, direction: 1 | -1) =>
  (a: AttributeMap, b: AttributeMap): number =>
    direction * (compareStrings(a[sort]!.S!, b[sort]!.S!) || compareStrings(idOf(a), idOf(b)));

const startNames = (keys: KeyNames): string[] => [
  ...new Set([TABLE_KEYS.partition, TABLE_KEYS.sort, keys.partition, keys.sort]),
];

const startOf = (item: AttributeMap, keys: KeyNames): AttributeMap =>
  Object.fromEntries(startNames(keys).map((name) => [name, item[name]!]));

function checkedStart(
  start: AttributeMap,
  keys: KeyNames,
  matches: (item: AttributeMap) => boolean,
): AttributeMap {
  const names = startNames(keys);
  if (Object.keys(start).length !== names.length || names.some((name) => !start[name]?.S))
    refuse("the starting key does not match the keys");
  if (!matches(start)) refuse("the starting key is outside of the key condition");
  return start;
}

/**
 * Returns one page of a query. DynamoDB stops at the limit without checking for more items. So a page that
 * reaches the limit always has a key to continue from.
 */
function page(items: readonly AttributeMap[], limit = Number.POSITIVE_INFINITY) {
  const seen: AttributeMap[] = [];
  let bytes = 0;
  for (const item of items) {
    bytes += itemSize(item);
    if (seen.length > 0 && bytes > PAGE_BYTES_MAX) return { seen, isCut: true };
    seen.push(item);
    if (seen.length >= limit) return { seen, isCut: true };
  }
  return { seen, isCut: false };
}
