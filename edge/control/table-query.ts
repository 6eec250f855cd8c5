import { type AttributeMap, marshalItem, values } from "../../shared/table/dynamo.ts";
import { openCursor, type Scope, sealCursor } from "./cursor.ts";
import type { ControlDeps } from "./deps.ts";

/** Dependencies for reading: the table, signature checks, and the keys of cursors. */
export type Reader = Pick<ControlDeps, "dynamo" | "table" | "clock" | "authority"> & {
  admin: Pick<ControlDeps["admin"], "cursorKeys">;
};

/** One page of a list. `cursor` is absent on the last page. */
export type Page<T> = { items: T[]; cursor?: string };

/** A query of the table or of an index. */
export type Query = {
  index?: string;
  partition: string;
  prefix?: string;
  /** Range of sort keys, including both ends. Use either `between` or `prefix`. */
  between?: readonly [string, string];
  newestFirst?: boolean;
  limit?: number;
  from?: string;
  /**
   * Highest sort key, for lists that are read newest first. It only affects the first page, because each
   * later page starts at its cursor.
   */
  until?: string;
  /** Uses strongly consistent reads. Not available for indexes. */
  isConsistent?: boolean;
  /** DynamoDB filter. DynamoDB applies the filter after `limit`, so a page can be short and still have a cursor. */
  filter?: { expression: string; names?: Record<string, string>; values?: Parameters<typeof values>[0] };
  /** Name of a filter that the caller applies. A cursor is only valid for the filter with which it was created. */
  scope?: string;
};

/** Scope of the cursors of a query. The partition key contains the tenant. */
const scopeOf = ({ index, partition, prefix, between, newestFirst, filter, scope }: Query): Scope => [
  index,
  partition,
  between ? JSON.stringify(between) : prefix,
  newestFirst,
  filter ? JSON.stringify(filter) : scope,
];

/** Key names of the table and its indexes. */
const keyNames = (index: string | undefined) =>
  index ? ([`${index}PK`, `${index}SK`] as const) : (["PK", "SK"] as const);

/** Key condition for the sort key, with its values. */
function sortRange({ prefix, between, until, from }: Query, sk: string): [string, Record<string, string>] {
  if (between) return [` AND ${sk} BETWEEN :first AND :last`, { first: between[0], last: between[1] }];
  if (prefix) return [` AND begins_with(${sk}, :prefix)`, { prefix }];
  return until && from === undefined ? [` AND ${sk} <= :until`, { until }] : ["", {}];
}

/** Reads one page. Throws CursorFault if `query.from` was created for another query. */
export async function queryPage(reader: Reader, query: Query): Promise<Page<AttributeMap>> {
  const [pk, sk] = keyNames(query.index);
  const { cursorKeys } = reader.admin;
  const { filter } = query;
  const scope = scopeOf(query);
  const [range, compared] = sortRange(query, sk);
  const start = query.from === undefined ? undefined : await openCursor(cursorKeys, scope, query.from);
  const page = await reader.dynamo("Query", {
    TableName: reader.table,
    ...(query.index && { IndexName: query.index }),
    KeyConditionExpression: `${pk} = :pk${range}`,
    ...(filter && { FilterExpression: filter.expression }),
    ...(filter?.names && { ExpressionAttributeNames: filter.names }),
    ExpressionAttributeValues: values({
      pk: query.partition,
      ...compared,
      ...filter?.values,
    }),
    ScanIndexForward: !query.newestFirst,
    ...(query.isConsistent && { ConsistentRead: true }),
    ...(query.limit && { Limit: query.limit }),
    ...(start && { ExclusiveStartKey: start }),
  });
  const items = page.Items ?? [];
  if (!page.LastEvaluatedKey) return { items };
  return { items, cursor: await sealCursor(cursorKeys, scope, page.LastEvaluatedKey) };
}

/** Reads one item with an eventually consistent read. */
export async function getItem(
  reader: Pick<ControlDeps, "dynamo" | "table">,
  key: object,
): Promise<AttributeMap | undefined> {
  return (await reader.dynamo("GetItem", { TableName: reader.table, Key: marshalItem(key) })).Item;
}
