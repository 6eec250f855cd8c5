import { custodyHash } from "../../../shared/containment/custody-chain.ts";
import type { AuditItem } from "../../../shared/table/items/custody.ts";

/** A custody record without the members that link it to the log. */
export type Unlinked = Omit<
  AuditItem,
  "type" | "number" | "previousHash" | "tenantPreviousHash" | "tenantNumber" | "hash"
>;

/** Links and seals the records of one tenant, in the given order. */
export async function linkedLog(unlinked: readonly Unlinked[]): Promise<AuditItem[]> {
  const records: AuditItem[] = [];
  for (const one of unlinked) {
    const ofChain = records.filter(({ assetId }) => assetId === one.assetId);
    const record = {
      type: "Audit" as const,
      ...one,
      number: ofChain.length + 1,
      previousHash: ofChain.at(-1)?.hash ?? "",
      tenantPreviousHash: records.at(-1)?.hash ?? "",
      tenantNumber: records.length + 1,
    };
    records.push({ ...record, hash: await custodyHash(record) });
  }
  return records;
}
