import { hex, utf8 } from "./bytes.ts";
import { canonicalJson } from "./canonical-json.ts";
import type { AuditItem } from "./table/items/custody.ts";

export type CustodyRecord = Omit<AuditItem, "hash">;

/** SHA-256 in hex over the canonical JSON of everything in the record but the hash itself. */
export async function custodyHash(record: CustodyRecord): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", utf8(canonicalJson(record)));
  return hex(new Uint8Array(digest));
}

/** `index`: which record it is, in the order of the tenant; as many as there are: the head. */
export type CustodyFault = { record: string; fault: string; index: number };

/**
 * Checks a tenant's whole log against its head: every hash, every asset's chain and the tenant's chain. Finds
 * an edit, a deletion, a reorder, a truncation and a fork, and names the first bad record; undefined when all is well.
 */
export async function verifyCustody(
  records: readonly AuditItem[],
  head: { hash: string; count: number } | undefined,
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
  if ((head?.hash ?? "") !== previous || (head?.count ?? 0) !== ordered.length) {
    return {
      record: "head",
      fault: `the head names ${head?.count ?? 0} records, the log holds ${ordered.length}`,
      index: ordered.length,
    };
  }
  return undefined;
}
