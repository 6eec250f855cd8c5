import { hex, utf8 } from "../encoding/bytes.ts";
import { canonicalJson } from "../encoding/canonical-json.ts";
import type { AuditItem, CustodyHeadItem } from "../table/items/custody.ts";

export type CustodyRecord = Omit<AuditItem, "hash">;

/** Hash of a custody record: SHA-256 in hex over the canonical JSON of the record without its hash. */
export async function custodyHash(record: CustodyRecord): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", utf8(canonicalJson(record)));
  return hex(new Uint8Array(digest));
}

/**
 * A fault in the log. `index` is the position of the record in the tenant's log, or the number of records for
 * a fault of the head.
 */
export type CustodyFault = { record: string; fault: string; index: number };

/** Members of the head that describe the end of the log. Heads from older versions lack the last three. */
export type CustodyEnd = Pick<CustodyHeadItem, "hash" | "count" | "at" | "ownHash" | "ownCount">;

/**
 * Verifies the whole log of a tenant: every hash, the chain of every asset, the chain of the tenant, and each
 * member of the head. Detects edits, deletions, reordering, truncation and forks.
 *
 * @returns the first invalid record, or undefined if the log is intact
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
        fault: `is a fork: the tenant has another record with number ${record.tenantNumber}`,
        index,
      };
    }
    if (record.tenantNumber !== index + 1 || record.tenantPreviousHash !== previous) {
      return {
        record: name,
        fault: `does not follow record ${index} of the tenant: a record is missing or was moved`,
        index,
      };
    }
    const before = perAsset.get(chain) ?? { hash: "", number: 0 };
    if (record.previousHash !== before.hash || record.number !== before.number + 1) {
      const of = record.assetId === undefined ? "the tenant-level records" : "its asset";
      return { record: name, fault: `does not follow record ${before.number} of ${of}`, index };
    }
    perAsset.set(chain, { hash, number: record.number });
    previous = hash;
  }
  const fault = headFault(head, ordered, perAsset.get("") ?? { hash: "", number: 0 });
  return fault === undefined ? undefined : { record: "head", fault, index: ordered.length };
}

/** Checks the head against the log. `own` is the newest tenant-level record, which belongs to no asset. */
function headFault(
  head: CustodyEnd | undefined,
  records: readonly AuditItem[],
  own: { hash: string; number: number },
): string | undefined {
  const newest = records.at(-1);
  if ((head?.count ?? 0) !== records.length)
    return `the head counts ${head?.count ?? 0} records, but the log has ${records.length}`;
  if ((head?.hash ?? "") !== (newest?.hash ?? ""))
    return "the newest record in the head is not the newest record of the log";
  if (head?.at !== undefined && head.at !== newest?.at)
    return `the head dates the newest record ${head.at}, but the log has ${newest?.at ?? "no record"}`;
  if (head?.ownCount !== undefined && head.ownCount !== own.number)
    return `the head counts ${head.ownCount} tenant-level records, but the log has ${own.number}`;
  if (head?.ownHash !== undefined && head.ownHash !== own.hash)
    return "the newest tenant-level record in the head is not the newest one of the log";
  return undefined;
}
