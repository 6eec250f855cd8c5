import { approvalItem } from "../../../shared/table/items/approval.ts";
import { decodeItem } from "../../../shared/table/items/decode.ts";
import { APPROVAL_PREFIX, tenantKey } from "../../../shared/table/keys.ts";
import { queryPage, type Reader } from "../table-query.ts";

/** Lists requests to isolate that need the approval of a second person, newest first. */
export async function listApprovals(
  reader: Reader,
  tenantId: string,
  page: { limit: number; from?: string },
) {
  const { PK } = tenantKey(tenantId);
  const found = await queryPage(reader, {
    partition: PK,
    prefix: APPROVAL_PREFIX,
    newestFirst: true,
    ...page,
  });
  const items = found.items.map((stored) => {
    const { type: _type, tenantId: _tenant, expiresAt: _ttl, ...view } = decodeItem(approvalItem, stored);
    return view;
  });
  return found.cursor === undefined ? { items } : { items, cursor: found.cursor };
}
