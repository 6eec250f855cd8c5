import type { CheckedAsset } from "../../../shared/authority/check-reports.ts";
import { assetItem } from "../../../shared/table/items/asset/asset.ts";
import { decodeItem } from "../../../shared/table/items/decode.ts";
import { assetKey } from "../../../shared/table/keys.ts";
import type { Deps } from "../../deps.ts";

/**
 * The asset as it is now, for a change that depends on it, with only such reports as its device signed; undefined when
 * the tenant has none of that id.
 *
 * @throws AuthorityFault when the item differs from what was signed
 */
export async function readAssetItem(
  { authority }: Pick<Deps, "authority">,
  tenantId: string,
  assetId: string,
): Promise<CheckedAsset | undefined> {
  const stored = await authority.read(assetKey(tenantId, assetId));
  return stored && authority.checkReports(decodeItem(assetItem, stored));
}
