import { hex, utf8 } from "../encoding/bytes.ts";
import { canonicalJson } from "../encoding/canonical-json.ts";
import type { AuditItem, CustodyHeadItem } from "../table/items/custody.ts";

export type CustodyRecord = Omit<AuditItem, "hash">;

/** SHA-256 in hex over the canonical JSON of everything in the record but the hash itself. */
export async function custodyHash(record: CustodyRecord): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", utf8(canonicalJson(record)));
  return hex(new Uint8Array(digest));
}

/** `index`: which record it is, in the order of the tenant; as many as there are: the head. */
export type CustodyFault = { record: string; fault: string; index: number };

/** What a head says of its log. Heads of older versions lack the last three. */
export type CustodyEnd = Pick<CustodyHeadItem, "hash" | "count" | "at" | "ownHash" | "ownCount">;

/**
 * Checks a tenant's whole log against its head: every hash, every asset's chain, the tenant's chain, and each member of
 * the head that the records prove. Finds an edit, a deletion, a reorder, a truncation and a fork, and names the first
 * bad record; undefined when all is well.
 */
export async function verifyCustody(
  records: readonly AuditItem[],
  head: CustodyEnd | undefined,
): Promise<CustodyFault | undefined> {
  const ordered = [...records].sort((a, b) => a.tenantNumber - b.tenantNumber);
  const perAsset = new Map<string, { hash: string; number: number }>();
  let previous = "";
  for (const [index, record] of ordered.entries()) {
    const name = `${record.assetId ?? "tenant"} ${record.at}`;
    const chain = record.assetId ?? "";
    const { hash, ...rest } = record;
    if ((await custodyHash(rest)) !== hash)
      return { record: name, fault: "was edited: its hash does not match", index };
    if (record.tenantNumber === ordered[index - 1]?.tenantNumber) {
      return {
        record: name,
        fault: `is a fork: there is another record ${record.tenantNumber} of the tenant`,
        index,
      };
    }
    if (record.tenantNumber !== index + 1 || record.tenantPreviousHash !== previous) {
      return {
        record: name,
        fault: `does not follow record ${index} of the tenant: one is missing or moved`,
        index,
      };
    }
    const before = perAsset.get(chain) ?? { hash: "", number: 0 };
    if (record.previousHash !== before.hash || record.number !== before.number + 1) {
      const of = record.assetId === undefined ? "the tenant's own records" : "its asset";
      return { record: name, fault: `does not follow record ${before.number} of ${of}`, index };
    }
    perAsset.set(chain, { hash, number: record.number });
    previous = hash;
  }
  const fault = headFault(head, ordered, perAsset.get("") ?? { hash: "", number: 0 });
  return fault === undefined ? undefined : { record: "head", fault, index: ordered.length };
}

/** `own`: the newest record on the tenant as a whole. */
function headFault(
  head: CustodyEnd | undefined,
  records: readonly AuditItem[],
  own: { hash: string; number: number },
): string | undefined {
  const newest = records.at(-1);
  if ((head?.count ?? 0) !== records.length)
    return `the head names ${head?.count ?? 0} records, the log holds ${records.length}`;
  if ((head?.hash ?? "") !== (newest?.hash ?? ""))
    return "the head names another newest record than the log's";
  if (head?.at !== undefined && head.at !== newest?.at)
    return `the head dates the newest record ${head.at}, the log ${newest?.at ?? "has none"}`;
  if (head?.ownCount !== undefined && head.ownCount !== own.number)
    return `the head names ${head.ownCount} records on the tenant as a whole, the log holds ${own.number}`;
  if (head?.ownHash !== undefined && head.ownHash !== own.hash)
    return "the head names another newest record on the tenant as a whole than the log's";
  return undefined;
}
