import { type Dynamo, marshalItem } from "./dynamo.ts";
import { decodeItem } from "./items/decode.ts";
import { type TenantItem, tenantDefaults, tenantItem } from "./items/tenant.ts";
import { tenantKey } from "./keys.ts";

/** Settings of a tenant, or the defaults when no admin has written any. */
export async function readTenant(
  deps: { dynamo: Dynamo; table: string },
  tenantId: string,
  { isConsistent = false }: { isConsistent?: boolean } = {},
): Promise<TenantItem> {
  const { Item } = await deps.dynamo("GetItem", {
    TableName: deps.table,
    Key: marshalItem(tenantKey(tenantId)),
    ...(isConsistent && { ConsistentRead: true }),
  });
  return Item ? decodeItem(tenantItem, Item) : tenantDefaults(tenantId);
}
