import type { Authority } from "../authority/read-authority.ts";
import { AuthorityFault } from "../authority/types.ts";
import { readTenant } from "./read-tenant.ts";

/**
 * Reads the setting `assetExpiryDays` of a tenant, for lists. Returns 0 if the settings have no valid
 * signature, so that forged settings hide no host. In that case the read has logged the fault.
 */
export async function readExpiryDays(
  reader: { authority: Pick<Authority, "read"> },
  tenantId: string,
): Promise<number> {
  try {
    return (await readTenant(reader, tenantId)).assetExpiryDays;
  } catch (error) {
    if (error instanceof AuthorityFault) return 0;
    throw error;
  }
}
