import { type AssetItem, assetItem } from "../../shared/table/items/asset.ts";
import { decodeItem } from "../../shared/table/items/decode.ts";
import { assetKey } from "../../shared/table/keys.ts";
import type { Deps } from "../deps.ts";

/**
 * The asset as it is now, for a change that depends on it; undefined when the tenant has none of that id.
 *
 * @throws AuthorityFault when it is not what was signed
 */
export async function readAssetItem(
  { authority }: Pick<Deps, "authority">,
  tenantId: string,
  assetId: string,
): Promise<AssetItem | undefined> {
  const stored = await authority.read(assetKey(tenantId, assetId));
  return stored && decodeItem(assetItem, stored);
}
