import type { Authority } from "../authority/read-authority.ts";
import { decodeItem } from "../table/items/decode.ts";
import { type TenantItem, tenantDefaults, tenantItem } from "../table/items/tenant.ts";
import { tenantKey } from "../table/keys.ts";

/**
 * Reads the settings of a tenant with strongly consistent reads. Returns the defaults if no administrator has
 * changed any settings.
 *
 * @throws AuthorityFault if the settings do not match the signature of the control key
 */
export async function readTenant(
  { authority }: { authority: Pick<Authority, "read"> },
  tenantId: string,
): Promise<TenantItem> {
  const stored = await authority.read(tenantKey(tenantId));
  return stored ? decodeItem(tenantItem, stored) : tenantDefaults(tenantId);
}
