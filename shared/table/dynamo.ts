import type {
  AttributeValue,
  BatchGetItemCommandInput,
  BatchGetItemCommandOutput,
  BatchWriteItemCommandInput,
  BatchWriteItemCommandOutput,
  DescribeTableCommandInput,
  DescribeTableCommandOutput,
  GetItemCommandInput,
  GetItemCommandOutput,
  PutItemCommandInput,
  PutItemCommandOutput,
  QueryCommandInput,
  QueryCommandOutput,
  TransactWriteItemsCommandInput,
  TransactWriteItemsCommandOutput,
  UpdateItemCommandInput,
  UpdateItemCommandOutput,
} from "@aws-sdk/client-dynamodb";

/** DynamoDB operations of all stages, in the JSON format of the protocol. Building a request is pure. */
export type Operations = {
  BatchGetItem: [BatchGetItemCommandInput, BatchGetItemCommandOutput];
  BatchWriteItem: [BatchWriteItemCommandInput, BatchWriteItemCommandOutput];
  DescribeTable: [DescribeTableCommandInput, DescribeTableCommandOutput];
  GetItem: [GetItemCommandInput, GetItemCommandOutput];
  PutItem: [PutItemCommandInput, PutItemCommandOutput];
  Query: [QueryCommandInput, QueryCommandOutput];
  TransactWriteItems: [TransactWriteItemsCommandInput, TransactWriteItemsCommandOutput];
  UpdateItem: [UpdateItemCommandInput, UpdateItemCommandOutput];
};

/**
 * Sends one operation. The edge implements this type with aws4fetch, and the worker with its own client.
 * Throws {@link DynamoFault} for every unsuccessful response.
 */
export type Dynamo = <Name extends keyof Operations>(
  operation: Name,
  input: Operations[Name][0],
) => Promise<Operations[Name][1]>;

/**
 * Whether a response with this `Content-Type` is from DynamoDB. A successful write returns `{}`, which a
 * captive portal or a proxy can also return. The media type of the protocol (smithy.io, "AWS JSON 1.0")
 * distinguishes them.
 */
export const isDynamoContentType = (contentType: string | null): boolean =>
  contentType !== null && /^application\/x-amz-json-1\.0\s*(?:;|$)/i.test(contentType);

/**
 * Error response of DynamoDB. `code` is the name of the exception. `reasons` has one entry per item of a
 * cancelled transaction, in order.
 */
export class DynamoFault extends Error {
  override name = "DynamoFault";
  constructor(
    readonly code: string,
    readonly reasons: readonly string[] = [],
    options?: ErrorOptions,
  ) {
    super(`DynamoDB refused: ${code}${reasons.length > 0 ? ` (${reasons.join(", ")})` : ""}`, options);
  }
}

export const isConditionFailed = (error: unknown): boolean =>
  error instanceof DynamoFault && error.code === "ConditionalCheckFailedException";

export type AttributeMap = Record<string, AttributeValue>;
type Plain =
  | string
  | number
  | boolean
  | null
  | undefined
  | readonly Plain[]
  | { readonly [key: string]: Plain };

/** Converts a plain value to an attribute value. Omits `undefined` members of objects. */
export function marshal(value: Plain): AttributeValue {
  if (typeof value === "string") return { S: value };
  if (typeof value === "number") {
    if (!Number.isFinite(value))
      throw new Error(`Cannot store the number ${value}: only finite numbers are supported`);
    return { N: String(value) };
  }
  if (typeof value === "boolean") return { BOOL: value };
  if (value === null || value === undefined) return { NULL: true };
  if (Array.isArray(value)) return { L: value.map(marshal) };
  return { M: marshalItem(value as { readonly [key: string]: Plain }) };
}

export function marshalItem(item: object): AttributeMap {
  const members = Object.entries(item).filter(([, value]) => value !== undefined);
  return Object.fromEntries(members.map(([key, value]) => [key, marshal(value as Plain)]));
}

function unmarshal(value: AttributeValue): unknown {
  if (value.S !== undefined) return value.S;
  if (value.N !== undefined) return Number(value.N);
  if (value.BOOL !== undefined) return value.BOOL;
  if (value.NULL !== undefined) return null;
  if (value.L !== undefined) return value.L.map(unmarshal);
  if (value.M !== undefined) return unmarshalItem(value.M);
  throw new Error(`Unsupported attribute type ${Object.keys(value).join()}`);
}

export function unmarshalItem(item: AttributeMap): Record<string, unknown> {
  return Object.fromEntries(Object.entries(item).map(([key, value]) => [key, unmarshal(value)]));
}

/** Converts plain values to `{":name": …}` for expressions. */
export function values(plain: Record<string, Plain>): AttributeMap {
  return Object.fromEntries(Object.entries(plain).map(([key, value]) => [`:${key}`, marshal(value)]));
}
