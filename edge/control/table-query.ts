import { type AttributeMap, marshalItem, values } from "../../shared/table/dynamo.ts";
import type { Deps } from "../deps.ts";
import { openCursor, type Scope, sealCursor } from "./cursor.ts";

/** Dependencies of reads: the table, signature checks, and the keys of cursors. */
export type Reader = Pick<Deps, "dynamo" | "table" | "clock" | "authority"> & {
  admin: Pick<Deps["admin"], "cursorKeys">;
};

/** One page of a list. `cursor` is absent on the last page. */
export type Page<T> = { items: T[]; cursor?: string };

export type Query = {
  index?: string;
  partition: string;
  prefix?: string;
  /** Sort keys from the first to the second, both included; instead of a prefix. */
  between?: readonly [string, string];
  newestFirst?: boolean;
  limit?: number;
  from?: string;
  /** Sort key at most, where a list read newest first begins: of its first page only, a cursor stands below it. */
  until?: string;
  /** Of the table itself: everything that was written before. */
  isConsistent?: boolean;
  /** Only these, of what the limit lets it look at: a page may be short and still have a cursor. */
  filter?: { expression: string; names?: Record<string, string>; values?: Parameters<typeof values>[0] };
  /** What the caller filters by itself: a cursor is good for the same only. */
  scope?: string;
};

/** A cursor is good for the query it came from and no other. The partition names the tenant. */
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

/** What is asked of the sort key, and the values it is compared with. */
function sortRange({ prefix, between, until, from }: Query, sk: string): [string, Record<string, string>] {
  if (between) return [` AND ${sk} BETWEEN :first AND :last`, { first: between[0], last: between[1] }];
  if (prefix) return [` AND begins_with(${sk}, :prefix)`, { prefix }];
  return until && from === undefined ? [` AND ${sk} <= :until`, { until }] : ["", {}];
}

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

export async function queryAll(reader: Reader, query: Query): Promise<AttributeMap[]> {
  const all: AttributeMap[] = [];
  let from: string | undefined;
  do {
    const page = await queryPage(reader, { ...query, ...(from !== undefined && { from }) });
    all.push(...page.items);
    from = page.cursor;
  } while (from !== undefined);
  return all;
}

/** Reads one item, eventually consistent. */
export async function getItem(
  reader: Pick<Deps, "dynamo" | "table">,
  key: object,
): Promise<AttributeMap | undefined> {
  return (await reader.dynamo("GetItem", { TableName: reader.table, Key: marshalItem(key) })).Item;
}
