import { needsAuthority } from "../../../shared/authority/covered-members.ts";
import { type AttributeMap, marshalItem, values } from "../../../shared/table/dynamo.ts";
import type { CustodyHeadItem } from "../../../shared/table/items/custody.ts";
import type { IdempotencyItem } from "../../../shared/table/items/idempotency.ts";
import { assetKey, idempotencyKey } from "../../../shared/table/keys.ts";
import type { ControlKey } from "../../../shared/wire/sign-statement.ts";
import type { ControlDeps } from "../deps.ts";
import type { Asker, AssetChange, ItemChange, Plan } from "./change-plan.ts";
import { Chain, custodyHead, headPut, type Link, recordKey } from "./custody-records.ts";
import { type Grant, signGrants } from "./sign-grants.ts";
import type { Write } from "./transaction-write.ts";

const IDEMPOTENCY_SECONDS = 24 * 3600;
/** Maximum number of items in one transaction (DynamoDB limit). */
const TRANSACTION_ITEMS_MAX = 100;

/** The tenant's data before a change. `nowMs` is later than the time of every earlier custody record. */
export type Before = {
  nowMs: number;
  head: CustodyHeadItem | undefined;
  requestHash: string;
  token: string;
  control: ControlKey;
};

/** Builds the transaction for a plan: its writes, signatures, events, custody records and the idempotency record. */
export async function transactionItems<Result>(
  asker: Asker,
  plan: Plan<Result>,
  { nowMs, head, requestHash, token, control }: Before,
  events: readonly Write[],
  deps: ControlDeps,
): Promise<Write[]> {
  const { tenantId } = asker.admin;
  const { table } = deps;
  const chain = new Chain(asker, head, nowMs);
  const assets: Write[] = [];
  for (const change of plan.assets ?? []) {
    let link = { hash: change.before.custodyHash ?? "", count: change.before.custodyCount };
    for (const draft of change.records) link = await chain.append(draft, link, change.before.assetId);
    assets.push({ Update: assetUpdate(change, link, table) });
  }
  let own = { hash: head?.ownHash ?? "", count: head?.ownCount ?? 0 };
  for (const draft of plan.records ?? []) own = await chain.append(draft, own);
  const newHead = await custodyHead(tenantId, chain.records.at(-1)!, own, control);
  const idempotency: IdempotencyItem = {
    type: "Idempotency",
    tenantId,
    requestHash,
    token,
    result: plan.result,
    expiresAt: Math.floor(nowMs / 1000) + IDEMPOTENCY_SECONDS,
  };
  const put = (item: object): Write => ({
    Put: { TableName: table, ConditionExpression: "attribute_not_exists(PK)", Item: marshalItem(item) },
  });
  const grants = grantsOf(plan);
  const items = [
    ...assets,
    ...(plan.writes ?? []),
    ...(plan.changes ?? []).map((change) => ({ Update: itemUpdate(change, table) })),
    ...(await signGrants(grants, { tenantId, version: newHead.count, control, nowMs }, deps)),
    ...events,
    ...chain.records.map((record) => put({ ...recordKey(record), ...record })),
    { Put: headPut(tenantId, newHead, head, table) },
    put({ ...idempotencyKey(tenantId, asker.idempotencyKey), ...idempotency }),
  ];
  if (items.length > TRANSACTION_ITEMS_MAX)
    throw new Error(
      `the change has ${items.length} items, but DynamoDB allows at most ${TRANSACTION_ITEMS_MAX} in one transaction`,
    );
  return items;
}

/** Items of the plan that need a signature, as they are after the transaction. */
function grantsOf<Result>({ assets = [], writes = [], changes = [] }: Plan<Result>): Grant[] {
  const put = writes.flatMap(({ Put }) => {
    const item = Put?.Item;
    if (!item || !needsAuthority(item)) return [];
    return [{ key: { PK: item.PK!.S!, SK: item.SK!.S! }, after: () => item }];
  });
  const changed = changes.map(({ key, set, initial = {} }) => ({
    key,
    after: (before: AttributeMap = {}) => ({ ...marshalItem(initial), ...before, ...marshalItem(set) }),
  }));
  const ofAssets = assets.flatMap(({ before, set }) => {
    if (!set) return [];
    const key = assetKey(before.tenantId, before.assetId);
    return [{ key, after: (stored: AttributeMap = {}) => ({ ...stored, ...marshalItem(set) }) }];
  });
  return [...put, ...changed, ...ofAssets];
}

/** Builds the DynamoDB update for an {@link ItemChange}. */
function itemUpdate(
  { key, set, initial = {}, condition, names = {}, values: compared = {} }: ItemChange,
  table: string,
) {
  const members = [...Object.keys(set), ...Object.keys(initial)];
  const sets = [
    ...Object.keys(set).map((name) => `#set${name} = :set${name}`),
    ...Object.keys(initial).map((name) => `#set${name} = if_not_exists(#set${name}, :set${name})`),
  ];
  const given = Object.entries({ ...initial, ...set }).map(([name, value]) => [`set${name}`, value]);
  return {
    TableName: table,
    Key: marshalItem(key),
    UpdateExpression: `SET ${sets.join(", ")}`,
    ConditionExpression: condition,
    ExpressionAttributeNames: {
      ...Object.fromEntries(members.map((name) => [`#set${name}`, name])),
      ...names,
    },
    ExpressionAttributeValues: values({ ...Object.fromEntries(given), ...compared }),
  };
}

/**
 * Builds the DynamoDB update of an asset. The number of its custody records serves as its version, because
 * every change adds a record.
 */
function assetUpdate(
  { before, set = {}, equal = {}, absent = [], isClosed = false }: AssetChange,
  link: Link,
  table: string,
) {
  const setting = { ...set, custodyHash: link.hash, custodyCount: link.count };
  const asked = { ...equal, custodyCount: before.custodyCount };
  const names = [...new Set([...Object.keys(setting), ...Object.keys(asked), ...absent])];
  const sets = Object.keys(setting).map((name) => `#${name} = :${name}`);
  const conditions = [
    "attribute_exists(PK)",
    ...Object.keys(asked).map((name) => `#${name} = :if${name}`),
    ...absent.map((name) => `attribute_not_exists(#${name})`),
  ];
  const prefixed = Object.fromEntries(Object.entries(asked).map(([name, value]) => [`if${name}`, value]));
  return {
    TableName: table,
    Key: marshalItem(assetKey(before.tenantId, before.assetId)),
    UpdateExpression: `SET ${sets.join(", ")}${isClosed ? " REMOVE GSI2PK, GSI2SK" : ""}`,
    ConditionExpression: conditions.join(" AND "),
    ExpressionAttributeNames: Object.fromEntries(names.map((name) => [`#${name}`, name])),
    ExpressionAttributeValues: values({ ...setting, ...prefixed }),
  };
}
