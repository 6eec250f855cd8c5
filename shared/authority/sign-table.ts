import { signCheckpoint } from "../containment/custody-checkpoint.ts";
import { type AttributeMap, type Dynamo, isConditionFailed, marshalItem, values } from "../table/dynamo.ts";
import type { AuthorityClaims } from "../table/items/authority.ts";
import { custodyHeadItem } from "../table/items/custody.ts";
import { decodeItem } from "../table/items/decode.ts";
import {
  API_KEY_PREFIX,
  APPROVAL_PREFIX,
  ASSET_PREFIX,
  authorityHeadKey,
  custodyHeadKey,
  ENROLMENT_PREFIX,
  ISOLATION_COUNT_PREFIX,
  type Key,
  tenantKey,
} from "../table/keys.ts";
import type { ControlKey } from "../wire/sign-statement.ts";
import { needsAuthority } from "./covered-members.ts";
import { addToDigest, EMPTY_DIGEST } from "./digest.ts";
import { checkAuthority, keysOf, readConsistently, recordsOf, type StoredRecords } from "./read-authority.ts";
import { claimsOf, signAuthority, signAuthorityHead, signSettingsOf } from "./sign-authority.ts";
import { AuthorityFault } from "./types.ts";
import { checkAgentSettings, type Verifier } from "./verify-authority.ts";

type Table = { dynamo: Dynamo; table: string };

const WRITES_AT_ONCE = 16;
/** Number of items per request. Each item needs up to three of the 100 keys that BatchGetItem accepts. */
const BATCH = 33;

const PREFIXES = [API_KEY_PREFIX, ENROLMENT_PREFIX, APPROVAL_PREFIX, ISOLATION_COUNT_PREFIX, ASSET_PREFIX];

/** Reads all items of a tenant that need a signature. */
export async function* grantingItems(
  { dynamo, table }: Table,
  tenantId: string,
): AsyncGenerator<AttributeMap> {
  const { PK, SK } = tenantKey(tenantId);
  for (const prefix of [SK, ...PREFIXES]) {
    for await (const item of queryAll({ dynamo, table }, PK, prefix)) if (needsAuthority(item)) yield item;
  }
}

/** Reads the items of a partition whose sort key begins with `prefix`, with strongly consistent reads. */
export async function* queryAll(
  { dynamo, table }: Table,
  partition: string,
  prefix: string | undefined,
): AsyncGenerator<AttributeMap> {
  let from: Record<string, never> | undefined;
  do {
    const page = await dynamo("Query", {
      TableName: table,
      KeyConditionExpression: prefix === undefined ? "PK = :pk" : "PK = :pk AND begins_with(SK, :prefix)",
      ExpressionAttributeValues: values({ pk: partition, ...(prefix !== undefined && { prefix }) }),
      ConsistentRead: true,
      ...(from && { ExclusiveStartKey: from }),
    });
    yield* page.Items ?? [];
    from = page.LastEvaluatedKey as typeof from;
  } while (from);
}

export type Signed = { item: string; reason: AuthorityFault["code"] | "old-key" };

export type Signing = {
  tenantId: string;
  /** Number of the tenant's newest custody record. */
  version: number;
  /** Current time in ms since 1970. It is the minimum version of the agent settings. */
  nowMs: number;
  control: ControlKey;
  /** Ids of the enrol keys that stay valid. Devices whose records they signed are not signed again. */
  enrolKids?: readonly string[];
  verifier: Verifier;
};

/**
 * Signs the items of a tenant that have no valid record from `control`. Used after the upgrade of a table and
 * after a rotation of the control key. Signing approves what is stored now, so check the output of {@link
 * unsignedItems} first.
 *
 * @returns the signed items
 */
export async function signTable({ dynamo, table }: Table, signing: Signing): Promise<Signed[]> {
  const { tenantId, version, nowMs, control, enrolKids = [], verifier } = signing;
  const signed: Signed[] = [];
  let writes: Promise<unknown>[] = [];
  for await (const { item, reason, record: before } of unsignedItems({ dynamo, table }, tenantId, verifier, {
    control: control.kid,
    enrol: enrolKids,
  })) {
    const claims = await claimsOf(tenantId, item, version);
    const settings = await signSettingsOf(control, { tenantId, item, before, nowMs }, verifier);
    const record = await signAuthority(control, claims, settings);
    writes.push(dynamo("PutItem", { TableName: table, Item: marshalItem(record) }));
    signed.push({ item: claims.item, reason });
    if (writes.length < WRITES_AT_ONCE) continue;
    await Promise.all(writes);
    writes = [];
  }
  await Promise.all(writes);
  await rebuildHead({ dynamo, table }, signing);
  await signCustodyAgain({ dynamo, table }, signing);
  return signed;
}

/** Ids of the keys whose records are not signed again. */
type Kids = { control: string; enrol: readonly string[] };

type UnsignedItem = {
  item: AttributeMap;
  reason: Signed["reason"];
  /** Record of the item that a control key signed. It may be invalid. */
  record: AttributeMap | undefined;
};

/** Finds the items of a tenant that have no valid record, or a record signed with a key that is not in `kids`. */
export async function* unsignedItems(
  where: Table,
  tenantId: string,
  verifier: Verifier,
  kids?: Kids,
): AsyncGenerator<UnsignedItem> {
  let batch: AttributeMap[] = [];
  for await (const item of grantingItems(where, tenantId)) {
    batch.push(item);
    if (batch.length < BATCH) continue;
    yield* unsignedOf(where, tenantId, verifier, kids, batch);
    batch = [];
  }
  yield* unsignedOf(where, tenantId, verifier, kids, batch);
}

async function* unsignedOf(
  where: Table,
  tenantId: string,
  verifier: Verifier,
  kids: Kids | undefined,
  items: readonly AttributeMap[],
): AsyncGenerator<UnsignedItem> {
  const keys = items.map((item): Key => ({ PK: item.PK!.S!, SK: item.SK!.S! }));
  const found = await readConsistently(where, keys.flatMap(keysOf));
  for (const [index, key] of keys.entries()) {
    const item = found(key) ?? items[index]!;
    const records = recordsOf(key, found);
    try {
      await checkAuthority(verifier, tenantId, key.SK, { item, ...records });
      await checkAgentSettings(verifier, tenantId, { item, record: records.record });
      if (kids && isByOldKey(records, kids)) yield { item, reason: "old-key", record: records.record };
    } catch (error) {
      if (!(error instanceof AuthorityFault)) throw error;
      yield { item, reason: error.code, record: records.record };
    }
  }
}

function isByOldKey({ record, device }: StoredRecords, { control, enrol }: Kids): boolean {
  if (record) return kidOf(record) !== control;
  return device !== undefined && ![control, ...enrol].includes(kidOf(device) ?? "");
}

/** Key id in the protected header of a record's signature. Undefined if the header cannot be read. */
export const kidOf = (record: AttributeMap): string | undefined => kidOfJws(record.signature?.S ?? "");

function kidOfJws(jws: string): string | undefined {
  try {
    const header = jws.split(".")[0]!;
    return JSON.parse(atob(header.replaceAll("-", "+").replaceAll("_", "/"))).kid;
  } catch {
    return undefined;
  }
}

/** Signs the end of the custody log with the new key if it was signed with a key that is being replaced. */
async function signCustodyAgain({ dynamo, table }: Table, signing: Signing): Promise<void> {
  const { tenantId, control, verifier, nowMs } = signing;
  const Key = marshalItem(custodyHeadKey(tenantId));
  const { Item } = await dynamo("GetItem", { TableName: table, Key, ConsistentRead: true });
  const head = Item && decodeItem(custodyHeadItem, Item);
  if (!head || kidOfJws(head.checkpoint) === control.kid || !(await verifier.custody(head, tenantId))) return;
  const atMs = head.at === undefined ? nowMs : Date.parse(head.at);
  await dynamo("UpdateItem", {
    TableName: table,
    Key,
    UpdateExpression: "SET checkpoint = :next",
    ConditionExpression: "checkpoint = :seen", // A concurrent change has already signed it with the new key.
    ExpressionAttributeValues: values({
      next: await signCheckpoint(head, atMs, control),
      seen: head.checkpoint,
    }),
  }).catch((error: unknown) => {
    if (!isConditionFailed(error)) throw error;
  });
}

/** Computes the digest of all valid records of the tenant, and signs it as the new head. */
async function rebuildHead(where: Table, { tenantId, version, control, verifier }: Signing): Promise<void> {
  const { PK, SK: headSort } = authorityHeadKey(tenantId);
  const claims: AuthorityClaims[] = [];
  for await (const record of queryAll(where, PK, undefined)) {
    if (record.SK!.S === headSort) continue;
    claims.push(await verifier.record(record, tenantId, record.SK!.S!));
  }
  const digest = await addToDigest(EMPTY_DIGEST, claims);
  const head = await signAuthorityHead(control, { tenant: tenantId, version, count: claims.length, digest });
  await where.dynamo("PutItem", { TableName: where.table, Item: marshalItem(head) });
}
