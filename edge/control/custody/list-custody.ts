import { type AuditItem, auditItem } from "../../../shared/table/items/custody.ts";
import { decodeItem } from "../../../shared/table/items/decode.ts";
import { auditPrefix, tenantKey } from "../../../shared/table/keys.ts";
import { type Page, queryPage, type Reader } from "../table-query.ts";

/** A custody record as the API and the dashboard show it. */
export type CustodyView = Omit<AuditItem, "type">;

/** Lists the custody records of one asset, newest first. */
export async function listCustody(
  reader: Reader,
  tenantId: string,
  assetId: string,
  page: { limit: number; from?: string },
): Promise<Page<CustodyView>> {
  const { PK } = tenantKey(tenantId);
  const prefix = auditPrefix(assetId);
  const found = await queryPage(reader, { partition: PK, prefix, newestFirst: true, ...page });
  const items = found.items.map((stored) => custodyView(decodeItem(auditItem, stored)));
  return found.cursor === undefined ? { items } : { items, cursor: found.cursor };
}

const custodyView = ({ type: _type, ...record }: AuditItem): CustodyView => record;
