import {
  type AttributeMap,
  type Dynamo,
  DynamoFault,
  marshalItem,
  type Operations,
} from "../../../shared/table/dynamo.ts";

/**
 * Documented behaviour of DynamoDB that the product depends on. The same cases run against the in-memory
 * table and the embedded DynamoDB. Each case uses its own partition.
 */
export type Case = {
  name: string;
  /** Page of the Amazon DynamoDB Developer Guide or API Reference that documents the behaviour. */
  source: string;
  /** Items that exist before the request, without their partition key. */
  given?: AttributeMap[];
  ask: (partition: string, table: string) => Request;
  /** Expected result: an error code with the cancellation reasons, or members that the response must have. */
  answer: string | object;
};
type Request = { [Name in keyof Operations]: [Name, Operations[Name][0]] }[keyof Operations];

const QUOTAS = "Developer Guide: Quotas in Amazon DynamoDB";
const EXPRESSIONS = "Developer Guide: Condition expressions, operators and functions";
const UPDATES = "Developer Guide: Using update expressions";
const NAMES = "Developer Guide: Expression attribute names (aliases), Reserved words";
const TYPES = "Developer Guide: Supported data types and naming rules";
const QUERY = "API Reference: Query";
const TRANSACT = "API Reference: TransactWriteItems";
const BATCH_GET = "API Reference: BatchGetItem";
const BATCH_WRITE = "API Reference: BatchWriteItem";

const REFUSED = "ValidationException";
const FAILED = "ConditionalCheckFailedException";
const text = (S: string): AttributeMap[string] => ({ S });
const number = (N: string | number): AttributeMap[string] => ({ N: String(N) });
const keyOf = (partition: string, sort = "a"): AttributeMap => ({ PK: text(partition), SK: text(sort) });

type Placeholders = { names?: Record<string, string>; values?: AttributeMap };
const placeholders = ({ names, values }: Placeholders) => ({
  ...(names && { ExpressionAttributeNames: names }),
  ...(values && { ExpressionAttributeValues: values }),
});

const put =
  (item: AttributeMap): Case["ask"] =>
  (partition, TableName) => ["PutItem", { TableName, Item: { ...keyOf(partition), ...item } }];

/** A Put request with a condition on the item with sort key `a`. */
const putIf =
  (ConditionExpression: string, given: Placeholders = {}): Case["ask"] =>
  (partition, TableName) => [
    "PutItem",
    { TableName, Item: keyOf(partition), ConditionExpression, ...placeholders(given) },
  ];

const update =
  (UpdateExpression: string, given: Placeholders = {}): Case["ask"] =>
  (partition, TableName) => [
    "UpdateItem",
    { TableName, Key: keyOf(partition), UpdateExpression, ...placeholders(given) },
  ];

const query =
  (condition: string, values: AttributeMap, more: Partial<Operations["Query"][0]> = {}): Case["ask"] =>
  (partition, TableName) => [
    "Query",
    {
      TableName,
      KeyConditionExpression: condition,
      ExpressionAttributeValues: { ":pk": text(partition), ...values },
      ...more,
    },
  ];

const transact =
  (
    writes: (partition: string, TableName: string) => Operations["TransactWriteItems"][0]["TransactItems"],
  ): Case["ask"] =>
  (partition, table) => ["TransactWriteItems", { TransactItems: writes(partition, table) }];

const rows = (count: number, more: (i: number) => AttributeMap = () => ({})): AttributeMap[] =>
  Array.from({ length: count }, (_, i) => ({ SK: text(String(i).padStart(3, "0")), ...more(i) }));
const nested = (depth: number): AttributeMap[string] =>
  Array.from({ length: depth - 1 }).reduce<AttributeMap[string]>((inner) => ({ L: [inner] }), text("x"));
const item = {
  SK: text("a"),
  n: number(5),
  s: text("abc"),
  l: { L: [number(1)] },
  m: { M: { x: number(1) } },
};
const ORS = (count: number) => Array.from({ length: count }, () => "n = :v").join(" OR ");

const KEYS: Case[] = [
  {
    name: "a sort key of 1,024 bytes is taken",
    source: QUOTAS,
    ask: put({ SK: text("k".repeat(1024)) }),
    answer: {},
  },
  {
    name: "a sort key of 1,025 bytes is refused",
    source: QUOTAS,
    ask: put({ SK: text("k".repeat(1025)) }),
    answer: REFUSED,
  },
  {
    name: "a key is measured in bytes of UTF-8",
    source: QUOTAS,
    ask: put({ SK: text("é".repeat(513)) }),
    answer: REFUSED,
  },
  {
    name: "a partition key of 2,048 bytes is taken",
    source: QUOTAS,
    ask: (p) => put({ PK: text(p.padEnd(2048, "k")) })(p, ""),
    answer: {},
  },
  {
    name: "a partition key of 2,049 bytes is refused",
    source: QUOTAS,
    ask: (p) => put({ PK: text(p.padEnd(2049, "k")) })(p, ""),
    answer: REFUSED,
  },
  { name: "an empty key is refused", source: TYPES, ask: put({ SK: text("") }), answer: REFUSED },
  { name: "a key of another type is refused", source: TYPES, ask: put({ SK: number(1) }), answer: REFUSED },
  {
    name: "an empty key of an index is refused",
    source: TYPES,
    ask: put({ GSI1PK: text(""), GSI1SK: text("x") }),
    answer: REFUSED,
  },
  {
    name: "a key of an index of another type is refused",
    source: TYPES,
    ask: put({ GSI1PK: number(1), GSI1SK: text("x") }),
    answer: REFUSED,
  },
  {
    name: "a sort key of an index beyond 1,024 bytes is refused",
    source: QUOTAS,
    ask: put({ GSI1PK: text("x"), GSI1SK: text("k".repeat(1025)) }),
    answer: REFUSED,
  },
  {
    name: "a read without the sort key is refused",
    source: "API Reference: GetItem",
    ask: (p, TableName) => ["GetItem", { TableName, Key: { PK: text(p) } }],
    answer: REFUSED,
  },
];

const VALUES: Case[] = [
  { name: "an empty string is taken beside the key", source: TYPES, ask: put({ s: text("") }), answer: {} },
  { name: "an empty set is refused", source: TYPES, ask: put({ s: { SS: [] } }), answer: REFUSED },
  {
    name: "a set with a member twice is refused",
    source: TYPES,
    ask: put({ s: { SS: ["a", "a"] } }),
    answer: REFUSED,
  },
  {
    name: "a value of two types is refused",
    source: "API Reference: AttributeValue",
    ask: put({ s: { S: "a", N: "1" } as unknown as AttributeMap[string] }),
    answer: REFUSED,
  },
  {
    name: "a text that is no number is refused as one",
    source: TYPES,
    ask: put({ n: number("12a") }),
    answer: REFUSED,
  },
  {
    name: "a number of 38 digits is kept exactly",
    source: TYPES,
    given: [{ SK: text("a"), n: number("1".repeat(38)) }],
    ask: (p, TableName) => ["GetItem", { TableName, Key: keyOf(p) }],
    answer: { Item: { n: { N: "1".repeat(38) } } },
  },
  {
    name: "a number of 39 digits is refused",
    source: TYPES,
    ask: put({ n: number("1".repeat(39)) }),
    answer: REFUSED,
  },
  {
    name: "a number above 9.99E+125 is refused",
    source: TYPES,
    ask: put({ n: number("1E126") }),
    answer: REFUSED,
  },
  {
    name: "a number below 1E-130 is refused",
    source: TYPES,
    ask: put({ n: number("1E-131") }),
    answer: REFUSED,
  },
  {
    name: "a number loses its trailing zeros",
    source: TYPES,
    given: [{ SK: text("a"), n: number("1.50") }],
    ask: (p, TableName) => ["GetItem", { TableName, Key: keyOf(p) }],
    answer: { Item: { n: { N: "1.5" } } },
  },
  { name: "a document of 32 levels is taken", source: QUOTAS, ask: put({ l: nested(32) }), answer: {} },
  {
    name: "a document of 34 levels is refused",
    source: QUOTAS,
    ask: put({ l: nested(34) }),
    answer: REFUSED,
  },
  {
    name: "an item of 400 KB is taken",
    source: QUOTAS,
    ask: (p) => put({ s: text("x".repeat(409_600 - 2 - p.length - 3 - 1)) })(p, ""),
    answer: {},
  },
  {
    name: "an item of 400 KB and a byte is refused",
    source: QUOTAS,
    ask: (p) => put({ s: text("x".repeat(409_600 - 2 - p.length - 3)) })(p, ""),
    answer: REFUSED,
  },
  {
    name: "an update beyond 400 KB is refused",
    source: QUOTAS,
    given: [{ SK: text("a"), s: text("x".repeat(300_000)) }],
    ask: update("SET t = :t", { values: { ":t": text("x".repeat(200_000)) } }),
    answer: REFUSED,
  },
];

const CONDITIONS: Case[] = [
  {
    name: "a condition that does not hold refuses the write",
    source: EXPRESSIONS,
    given: [item],
    ask: putIf("attribute_not_exists(PK)"),
    answer: FAILED,
  },
  {
    name: "a comparison across types does not hold",
    source: EXPRESSIONS,
    given: [item],
    ask: putIf("n = :v", { values: { ":v": text("5") } }),
    answer: FAILED,
  },
  {
    name: "a comparison with a missing attribute does not hold",
    source: EXPRESSIONS,
    given: [item],
    ask: putIf("absent < :v", { values: { ":v": number(5) } }),
    answer: FAILED,
  },
  {
    name: "numbers compare as numbers",
    source: EXPRESSIONS,
    given: [{ SK: text("a"), n: number(10) }],
    ask: putIf("n > :v", { values: { ":v": number(9) } }),
    answer: {},
  },
  {
    name: "numbers compare in all 38 digits",
    source: TYPES,
    given: [{ SK: text("a"), n: number("10000000000000000000000000000000000001") }],
    ask: putIf("n > :v", { values: { ":v": number("10000000000000000000000000000000000000") } }),
    answer: {},
  },
  {
    name: "NOT, AND, OR, IN and BETWEEN are taken",
    source: EXPRESSIONS,
    given: [item],
    ask: putIf("NOT (n IN (:a, :b)) AND (n BETWEEN :a AND :c OR s = :s)", {
      values: { ":a": number(1), ":b": number(2), ":c": number(9), ":s": text("x") },
    }),
    answer: {},
  },
  {
    name: "size, contains, begins_with and attribute_type are taken",
    source: EXPRESSIONS,
    given: [item],
    ask: putIf("size(s) = :n AND contains(l, :one) AND begins_with(s, :ab) AND attribute_type(m, :m)", {
      values: { ":n": number(3), ":one": number(1), ":ab": text("ab"), ":m": text("M") },
    }),
    answer: {},
  },
  {
    name: "BETWEEN with its bounds reversed is refused",
    source: EXPRESSIONS,
    given: [item],
    ask: putIf("n BETWEEN :a AND :b", { values: { ":a": number(2), ":b": number(1) } }),
    answer: REFUSED,
  },
  {
    name: "an order between booleans is refused",
    source: EXPRESSIONS,
    given: [item],
    ask: putIf("n < :v", { values: { ":v": { BOOL: true } } }),
    answer: REFUSED,
  },
  {
    name: "attribute_exists of a value is refused",
    source: EXPRESSIONS,
    given: [item],
    ask: putIf("attribute_exists(:v)", { values: { ":v": text("x") } }),
    answer: REFUSED,
  },
  {
    name: "an unknown function is refused",
    source: EXPRESSIONS,
    given: [item],
    ask: putIf("exists(n)"),
    answer: REFUSED,
  },
  {
    name: "a syntax error is refused",
    source: EXPRESSIONS,
    given: [item],
    ask: putIf("n = = :v", { values: { ":v": number(1) } }),
    answer: REFUSED,
  },
  {
    name: "an empty expression is refused",
    source: EXPRESSIONS,
    given: [item],
    ask: putIf(""),
    answer: REFUSED,
  },
  {
    name: "IN with 100 operands is taken",
    source: QUOTAS,
    given: [item],
    ask: putIf(`n IN (${Array.from({ length: 100 }, () => ":v").join(",")})`, {
      values: { ":v": number(5) },
    }),
    answer: {},
  },
  {
    name: "IN with 101 operands is refused",
    source: QUOTAS,
    given: [item],
    ask: putIf(`n IN (${Array.from({ length: 101 }, () => ":v").join(",")})`, {
      values: { ":v": number(5) },
    }),
    answer: REFUSED,
  },
  {
    name: "an expression of more than 4 KB is refused",
    source: QUOTAS,
    given: [item],
    ask: putIf(`n = :v AND attribute_exists(${"a".repeat(4096)})`, { values: { ":v": number(5) } }),
    answer: REFUSED,
  },
  {
    name: "an expression of more than 300 operators is refused",
    source: QUOTAS,
    given: [item],
    ask: putIf(ORS(160), { values: { ":v": number(5) } }),
    answer: REFUSED,
  },
  {
    name: "an expression of under 300 operators is taken",
    source: QUOTAS,
    given: [item],
    ask: putIf(ORS(140), { values: { ":v": number(5) } }),
    answer: {},
  },
];

const PLACEHOLDERS: Case[] = [
  {
    name: "a reserved word in an expression is refused",
    source: NAMES,
    given: [item],
    ask: putIf("status = :v", { values: { ":v": number(1) } }),
    answer: REFUSED,
  },
  {
    name: "a reserved word is refused in lower case in an update",
    source: NAMES,
    given: [item],
    ask: update("SET at.count = :v, counter = :v", { values: { ":v": number(1) } }),
    answer: REFUSED,
  },
  {
    name: "a reserved word is taken by a placeholder",
    source: NAMES,
    ask: update("SET #status = :v", { names: { "#status": "status" }, values: { ":v": number(1) } }),
    answer: {},
  },
  {
    name: "an undefined value is refused",
    source: NAMES,
    given: [item],
    ask: putIf("n = :v", { values: { ":w": number(1) } }),
    answer: REFUSED,
  },
  {
    name: "an undefined name is refused",
    source: NAMES,
    given: [item],
    ask: putIf("#n = :v", { values: { ":v": number(1) } }),
    answer: REFUSED,
  },
  {
    name: "an unused value is refused",
    source: NAMES,
    given: [item],
    ask: putIf("n = :v", { values: { ":v": number(5), ":w": number(1) } }),
    answer: REFUSED,
  },
  {
    name: "an unused name is refused",
    source: NAMES,
    given: [item],
    ask: putIf("n = :v", { names: { "#x": "x" }, values: { ":v": number(5) } }),
    answer: REFUSED,
  },
  {
    name: "values without an expression are refused",
    source: NAMES,
    ask: (p, TableName) => [
      "PutItem",
      { TableName, Item: keyOf(p), ExpressionAttributeValues: { ":v": number(1) } },
    ],
    answer: REFUSED,
  },
  {
    name: "an empty set of values is refused",
    source: NAMES,
    ask: (p, TableName) => [
      "PutItem",
      {
        TableName,
        Item: keyOf(p),
        ConditionExpression: "attribute_not_exists(PK)",
        ExpressionAttributeValues: {},
      },
    ],
    answer: REFUSED,
  },
  {
    name: "a value placeholder without a colon is refused",
    source: NAMES,
    given: [item],
    ask: putIf("n = :v", { values: { ":v": number(5), v: number(1) } }),
    answer: REFUSED,
  },
];

const UPDATE: Case[] = [
  {
    name: "a counter goes on from what is stored",
    source: UPDATES,
    given: [item],
    ask: update("SET n = if_not_exists(n, :zero) + :one", {
      values: { ":zero": number(0), ":one": number(1) },
    }),
    answer: {},
  },
  {
    name: "an update of the key is refused",
    source: UPDATES,
    given: [item],
    ask: update("SET SK = :v", { values: { ":v": text("b") } }),
    answer: REFUSED,
  },
  {
    name: "two overlapping paths are refused",
    source: UPDATES,
    given: [item],
    ask: update("SET m.x = :v, m = :v", { values: { ":v": number(1) } }),
    answer: REFUSED,
  },
  {
    name: "a clause twice is refused",
    source: UPDATES,
    given: [item],
    ask: update("SET n = :v SET s = :v", { values: { ":v": number(1) } }),
    answer: REFUSED,
  },
  {
    name: "a path into a map that is missing is refused",
    source: UPDATES,
    given: [item],
    ask: update("SET absent.x = :v", { values: { ":v": number(1) } }),
    answer: REFUSED,
  },
  {
    name: "a copy of an attribute that is missing is refused",
    source: UPDATES,
    given: [item],
    ask: update("SET t = absent"),
    answer: REFUSED,
  },
  {
    name: "an addition to a text is refused",
    source: UPDATES,
    given: [item],
    ask: update("SET s = s + :v", { values: { ":v": number(1) } }),
    answer: REFUSED,
  },
  {
    name: "an addition of a text is refused",
    source: UPDATES,
    given: [item],
    ask: update("SET n = n + :v", { values: { ":v": text("1") } }),
    answer: REFUSED,
  },
  {
    name: "ADD of a text is refused",
    source: UPDATES,
    given: [item],
    ask: update("ADD n :v", { values: { ":v": text("1") } }),
    answer: REFUSED,
  },
  {
    name: "ADD to an attribute of another type is refused",
    source: UPDATES,
    given: [item],
    ask: update("ADD s :v", { values: { ":v": number(1) } }),
    answer: REFUSED,
  },
  {
    name: "DELETE of what is no set is refused",
    source: UPDATES,
    given: [item],
    ask: update("DELETE s :v", { values: { ":v": text("a") } }),
    answer: REFUSED,
  },
  {
    name: "a key of an index set to another type is refused",
    source: UPDATES,
    given: [item],
    ask: update("SET GSI1PK = :v", { values: { ":v": number(1) } }),
    answer: REFUSED,
  },
  {
    name: "a key of an index set to an empty text is refused",
    source: UPDATES,
    given: [item],
    ask: update("SET GSI1PK = :v", { values: { ":v": text("") } }),
    answer: REFUSED,
  },
  {
    name: "a sum of more than 38 digits is refused",
    source: TYPES,
    given: [{ SK: text("a"), n: number("9".repeat(38)) }],
    ask: update("SET n = n + :v", { values: { ":v": number("0.1") } }),
    answer: REFUSED,
  },
  {
    name: "an update without a clause is refused",
    source: UPDATES,
    given: [item],
    ask: update("n = :v", { values: { ":v": number(1) } }),
    answer: REFUSED,
  },
  {
    name: "REMOVE of an attribute that is missing is taken",
    source: UPDATES,
    given: [item],
    ask: update("REMOVE absent, s"),
    answer: {},
  },
];

const QUERIES: Case[] = [
  {
    name: "BETWEEN takes equal bounds",
    source: QUERY,
    given: rows(3),
    ask: query("PK = :pk AND SK BETWEEN :a AND :b", { ":a": text("001"), ":b": text("001") }),
    answer: { Count: 1 },
  },
  {
    name: "BETWEEN with its bounds reversed is refused in a key condition",
    source: QUERY,
    given: rows(3),
    ask: query("PK = :pk AND SK BETWEEN :a AND :b", { ":a": text("002"), ":b": text("001") }),
    answer: REFUSED,
  },
  {
    name: "a key condition without the partition key is refused",
    source: QUERY,
    ask: (_, TableName) => [
      "Query",
      { TableName, KeyConditionExpression: "SK = :a", ExpressionAttributeValues: { ":a": text("x") } },
    ],
    answer: REFUSED,
  },
  {
    name: "a partition key compared by < is refused",
    source: QUERY,
    ask: query("PK < :pk", {}),
    answer: REFUSED,
  },
  {
    name: "OR in a key condition is refused",
    source: QUERY,
    ask: query("PK = :pk OR SK = :a", { ":a": text("x") }),
    answer: REFUSED,
  },
  {
    name: "two conditions on the sort key are refused",
    source: QUERY,
    ask: query("PK = :pk AND SK > :a AND SK < :b", { ":a": text("a"), ":b": text("b") }),
    answer: REFUSED,
  },
  {
    name: "<> on the sort key is refused",
    source: QUERY,
    ask: query("PK = :pk AND SK <> :a", { ":a": text("a") }),
    answer: REFUSED,
  },
  {
    name: "a sort key compared with a number is refused",
    source: QUERY,
    ask: query("PK = :pk AND SK = :a", { ":a": number(1) }),
    answer: REFUSED,
  },
  {
    name: "an empty value for a key is refused",
    source: QUERY,
    ask: query("PK = :pk AND SK = :a", { ":a": text("") }),
    answer: REFUSED,
  },
  {
    name: "a filter on a key is refused",
    source: QUERY,
    ask: query("PK = :pk", { ":a": text("x") }, { FilterExpression: "SK = :a" }),
    answer: REFUSED,
  },
  {
    name: "a filter counts after the limit",
    source: QUERY,
    given: rows(4, (i) => ({ n: number(i) })),
    ask: query("PK = :pk", { ":n": number(1) }, { FilterExpression: "n > :n", Limit: 3 }),
    answer: { Count: 1, ScannedCount: 3 },
  },
  {
    name: "a limit of 0 is refused",
    source: QUERY,
    ask: query("PK = :pk", {}, { Limit: 0 }),
    answer: REFUSED,
  },
  {
    name: "a page that ends at its limit has a key to go on from, also at the end",
    source: QUERY,
    given: rows(2),
    ask: query("PK = :pk", {}, { Limit: 2 }),
    answer: { Count: 2, LastEvaluatedKey: { SK: text("001") } },
  },
  {
    name: "a page ends before 1 MB",
    source: QUERY,
    given: rows(4, () => ({ s: text("x".repeat(349_000)) })),
    ask: query("PK = :pk", {}),
    answer: { Count: 3, LastEvaluatedKey: { SK: text("002") } },
  },
  {
    name: "a page goes on from a key that is not in the table",
    source: QUERY,
    given: rows(3),
    ask: (p, table) => query("PK = :pk", {}, { ExclusiveStartKey: keyOf(p, "0005") })(p, table),
    answer: { Count: 2 },
  },
  {
    name: "a page goes back from a key that is not in the table",
    source: QUERY,
    given: rows(3),
    ask: (p, table) =>
      query("PK = :pk", {}, { ScanIndexForward: false, ExclusiveStartKey: keyOf(p, "0005") })(p, table),
    answer: { Count: 1, Items: [{ SK: text("000") }] },
  },
  {
    name: "a starting key of another partition is refused",
    source: QUERY,
    ask: query("PK = :pk", {}, { ExclusiveStartKey: keyOf("another") }),
    answer: REFUSED,
  },
  {
    name: "a starting key outside of the range is refused",
    source: QUERY,
    given: rows(3),
    ask: (p, table) =>
      query("PK = :pk AND SK < :a", { ":a": text("001") }, { ExclusiveStartKey: keyOf(p, "002") })(p, table),
    answer: REFUSED,
  },
  {
    name: "a starting key without its sort key is refused",
    source: QUERY,
    ask: (p, table) => query("PK = :pk", {}, { ExclusiveStartKey: { PK: text(p) } })(p, table),
    answer: REFUSED,
  },
  {
    name: "strings sort by their bytes",
    source: QUERY,
    given: [{ SK: text("\uff5e") }, { SK: text("\u{1f600}") }],
    ask: query("PK = :pk", {}),
    answer: { Items: [{ SK: text("\uff5e") }, { SK: text("\u{1f600}") }] },
  },
  {
    name: "a consistent read of a global index is refused",
    source: QUERY,
    ask: query("GSI1PK = :pk", {}, { IndexName: "GSI1", ConsistentRead: true }),
    answer: REFUSED,
  },
  {
    name: "an index holds only items that have both of its keys",
    source: QUERY,
    given: rows(2, (i) => ({ GSI1PK: text("sparse"), ...(i === 0 && { GSI1SK: text("x") }) })),
    ask: (_, TableName) => [
      "Query",
      {
        TableName,
        IndexName: "GSI1",
        KeyConditionExpression: "GSI1PK = :pk",
        ExpressionAttributeValues: { ":pk": text("sparse") },
      },
    ],
    answer: { Count: 1 },
  },
  {
    name: "an unknown index is refused",
    source: QUERY,
    ask: query("GSI9PK = :pk", {}, { IndexName: "GSI9" }),
    answer: REFUSED,
  },
  {
    name: "COUNT gives no items",
    source: QUERY,
    given: rows(2),
    ask: query("PK = :pk", {}, { Select: "COUNT" }),
    answer: { Count: 2, ScannedCount: 2 },
  },
  {
    name: "a projection with two overlapping paths is refused",
    source: QUERY,
    ask: query("PK = :pk", {}, { ProjectionExpression: "m, m.x" }),
    answer: REFUSED,
  },
];

const updateOf = (TableName: string, Key: AttributeMap, UpdateExpression: string, values: AttributeMap) => ({
  Update: { TableName, Key, UpdateExpression, ExpressionAttributeValues: values },
});
const puts =
  (count: number, more: AttributeMap = {}) =>
  (p: string, TableName: string) =>
    Array.from({ length: count }, (_, i) => ({
      Put: { TableName, Item: { ...keyOf(p, `t${i}`), ...more } },
    }));

const TRANSACTIONS: Case[] = [
  { name: "a transaction takes 100 writes", source: TRANSACT, ask: transact(puts(100)), answer: {} },
  {
    name: "a transaction of 101 writes is refused",
    source: TRANSACT,
    ask: transact(puts(101)),
    answer: REFUSED,
  },
  { name: "an empty transaction is refused", source: TRANSACT, ask: transact(() => []), answer: REFUSED },
  {
    name: "a transaction over 4 MB is refused",
    source: TRANSACT,
    ask: transact(puts(12, { s: text("x".repeat(390_000)) })),
    answer: REFUSED,
  },
  {
    name: "two writes of a transaction to one item are refused",
    source: TRANSACT,
    ask: transact((p, table) => [...puts(1)(p, table)!, ...puts(1)(p, table)!]),
    answer: REFUSED,
  },
  {
    name: "a check and a write of a transaction to one item are refused",
    source: TRANSACT,
    ask: transact((p, TableName) => [
      { ConditionCheck: { TableName, Key: keyOf(p, "t0"), ConditionExpression: "attribute_not_exists(PK)" } },
      ...puts(1)(p, TableName),
    ]),
    answer: REFUSED,
  },
  {
    name: "a condition that fails cancels the transaction, with a reason for each write",
    source: TRANSACT,
    given: [item],
    ask: transact((p, TableName) => [
      ...puts(1)(p, TableName),
      { ConditionCheck: { TableName, Key: keyOf(p), ConditionExpression: "attribute_not_exists(PK)" } },
    ]),
    answer: "TransactionCanceledException None ConditionalCheckFailed",
  },
  {
    name: "an update that does not fit its item cancels the transaction",
    source: TRANSACT,
    given: [item],
    ask: transact((p, TableName) => [updateOf(TableName, keyOf(p), "SET s = s + :v", { ":v": number(1) })]),
    answer: "TransactionCanceledException ValidationError",
  },
  {
    name: "an update into a map that is missing cancels the transaction",
    source: TRANSACT,
    given: [item],
    ask: transact((p, TableName) => [
      updateOf(TableName, keyOf(p), "SET absent.x = :v", { ":v": number(1) }),
    ]),
    answer: "TransactionCanceledException ValidationError",
  },
  {
    name: "a syntax error in a transaction is refused",
    source: TRANSACT,
    ask: transact((p, TableName) => [updateOf(TableName, keyOf(p), "SET = :v", { ":v": number(1) })]),
    answer: REFUSED,
  },
  {
    name: "an unused value in a transaction is refused",
    source: TRANSACT,
    ask: transact((p, TableName) => [
      updateOf(TableName, keyOf(p), "SET x = :v", { ":v": number(1), ":w": number(1) }),
    ]),
    answer: REFUSED,
  },
  {
    name: "a token of 37 characters is refused",
    source: TRANSACT,
    ask: (p, table) => [
      "TransactWriteItems",
      { TransactItems: puts(1)(p, table), ClientRequestToken: "t".repeat(37) },
    ],
    answer: REFUSED,
  },
];

const batchOf =
  (count: number, again = 0) =>
  (p: string) =>
    Array.from({ length: count }, (_, i) => keyOf(p, `b${i < count - again ? i : 0}`));
const batchGet =
  (count: number, again = 0): Case["ask"] =>
  (p, table) => ["BatchGetItem", { RequestItems: { [table]: { Keys: batchOf(count, again)(p) } } }];
const batchWrite =
  (count: number, again = 0): Case["ask"] =>
  (p, table) => [
    "BatchWriteItem",
    { RequestItems: { [table]: batchOf(count, again)(p).map((Item) => ({ PutRequest: { Item } })) } },
  ];

const BATCHES: Case[] = [
  { name: "a batch reads 100 keys", source: BATCH_GET, ask: batchGet(100), answer: {} },
  { name: "a batch of 101 keys is refused", source: BATCH_GET, ask: batchGet(101), answer: REFUSED },
  { name: "a batch of no keys is refused", source: BATCH_GET, ask: batchGet(0), answer: REFUSED },
  {
    name: "a batch that reads a key twice is refused",
    source: BATCH_GET,
    ask: batchGet(3, 1),
    answer: REFUSED,
  },
  { name: "a batch writes 25 items", source: BATCH_WRITE, ask: batchWrite(25), answer: {} },
  { name: "a batch of 26 writes is refused", source: BATCH_WRITE, ask: batchWrite(26), answer: REFUSED },
  {
    name: "a batch that writes an item twice is refused",
    source: BATCH_WRITE,
    ask: batchWrite(3, 1),
    answer: REFUSED,
  },
];

export const CONFORMANCE: readonly Case[] = [
  ...KEYS,
  ...VALUES,
  ...CONDITIONS,
  ...PLACEHOLDERS,
  ...UPDATE,
  ...QUERIES,
  ...TRANSACTIONS,
  ...BATCHES,
];

/**
 * Stores the items of a case and sends its request. Returns the response, or the error code and its reasons
 * as one text.
 */
export async function answerTo(one: Case, dynamo: Dynamo, table: string): Promise<string | object> {
  const partition = `case#${CONFORMANCE.indexOf(one)}`;
  for (const given of one.given ?? [])
    await dynamo("PutItem", {
      TableName: table,
      Item: { ...marshalItem({}), ...keyOf(partition), ...given },
    });
  const [operation, input] = one.ask(partition, table);
  const request = "TableName" in input && input.TableName === "" ? { ...input, TableName: table } : input;
  try {
    return await dynamo(operation, request);
  } catch (error) {
    if (error instanceof DynamoFault) return [error.code, ...error.reasons].join(" ");
    throw error;
  }
}
