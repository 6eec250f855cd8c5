import { marshalItem } from "../../../shared/table/dynamo.ts";
import {
  type AuditItem,
  auditItem,
  type CustodyHeadItem,
  custodyHeadItem,
} from "../../../shared/table/items/custody.ts";
import { decodeItem } from "../../../shared/table/items/decode.ts";
import { auditPrefix, custodyHeadKey, tenantKey } from "../../../shared/table/keys.ts";
import { queryPage, type Reader } from "../table-query.ts";

/**
 * Maximum number of records that a page, a report or a CSV file holds in memory, about 20 MB. The JSON export
 * is streamed and has no limit.
 */
export const CUSTODY_HELD_MAX = 20_000;

type CustodyLog = { head: CustodyHeadItem | undefined; pages: AsyncGenerator<AuditItem[]> };

/**
 * Reads the whole custody log of a tenant as of its head, one page of the table at a time. The records are in
 * table order (by asset). Records that are added during the read are left out. Records that are newer than
 * the head are included, because the control plane did not add them and a verification must find them.
 */
export async function readCustody(reader: Reader, tenantId: string): Promise<CustodyLog> {
  const head = await readHead(reader, tenantId);
  return { head, pages: pagesUpTo(reader, tenantId, head) };
}

async function* pagesUpTo(reader: Reader, tenantId: string, head: CustodyHeadItem | undefined) {
  const { PK } = tenantKey(tenantId);
  const counted = head?.count ?? 0;
  const later: AuditItem[] = [];
  let from: string | undefined;
  do {
    const query = { partition: PK, prefix: auditPrefix(), isConsistent: true };
    const page = await queryPage(reader, { ...query, ...(from !== undefined && { from }) });
    const records = page.items.map((item) => decodeItem(auditItem, item));
    yield records.filter(({ tenantNumber }) => tenantNumber <= counted);
    later.push(...records.filter(({ tenantNumber }) => tenantNumber > counted));
    from = page.cursor;
  } while (from !== undefined);
  if (later.length === 0) return;
  const now = (await readHead(reader, tenantId))?.count ?? 0;
  yield later.filter(({ tenantNumber }) => tenantNumber > now);
}

async function readHead(reader: Reader, tenantId: string): Promise<CustodyHeadItem | undefined> {
  const Key = marshalItem(custodyHeadKey(tenantId));
  const { Item } = await reader.dynamo("GetItem", { TableName: reader.table, Key, ConsistentRead: true });
  return Item && decodeItem(custodyHeadItem, Item);
}

/** The custody log with its signed head as one JSON text, `{ records, head }`, for offline verification. */
export async function* custodyJson(reader: Reader, tenantId: string): AsyncGenerator<string> {
  const { head, pages } = await readCustody(reader, tenantId);
  let begun = false;
  for await (const records of pages) {
    if (records.length === 0) continue;
    const text = records.map((record) => JSON.stringify(record)).join(",\n");
    yield `${begun ? ",\n" : '{"records":[\n'}${text}`;
    begun = true;
  }
  yield `${begun ? "\n]" : '{"records":[]'}${head ? `,"head":${JSON.stringify(head)}` : ""}}\n`;
}

/** The custody log in memory, in the order of the tenant's chain. */
export type HeldCustody = {
  head: CustodyHeadItem | undefined;
  /** Number of records in the log. */
  count: number;
  /** All records of the log. Absent if there are more than {@link CUSTODY_HELD_MAX}. */
  all?: AuditItem[];
  /** Records that `wanted` selects. Absent if there are more than {@link CUSTODY_HELD_MAX}. */
  picked?: AuditItem[];
};

/**
 * Reads the whole log. Keeps in memory up to {@link CUSTODY_HELD_MAX} records, and up to as many selected
 * records.
 */
export async function holdCustody(
  reader: Reader,
  tenantId: string,
  wanted: (record: AuditItem, head: CustodyHeadItem | undefined) => boolean,
): Promise<HeldCustody> {
  const { head, pages } = await readCustody(reader, tenantId);
  let count = 0;
  let all: AuditItem[] | undefined = (head?.count ?? 0) > CUSTODY_HELD_MAX ? undefined : [];
  let picked: AuditItem[] | undefined = [];
  for await (const page of pages) {
    count += page.length;
    all = withRoom(all, page);
    picked = withRoom(
      picked,
      page.filter((record) => wanted(record, head)),
    );
  }
  return { head, count, ...(all && { all: inOrder(all) }), ...(picked && { picked: inOrder(picked) }) };
}

function withRoom(held: AuditItem[] | undefined, more: readonly AuditItem[]): AuditItem[] | undefined {
  if (!held || held.length + more.length > CUSTODY_HELD_MAX) return undefined;
  held.push(...more);
  return held;
}

const inOrder = (records: AuditItem[]): AuditItem[] =>
  records.sort((a, b) => a.tenantNumber - b.tenantNumber);
