import type { CheckedAsset } from "../../../shared/authority/check-reports.ts";
import { assetItem } from "../../../shared/table/items/asset/asset.ts";
import { decodeItem } from "../../../shared/table/items/decode.ts";
import { assetKey } from "../../../shared/table/keys.ts";
import type { ControlDeps } from "../deps.ts";

/**
 * Reads an asset with a strongly consistent read, for a change that depends on it. Reports that the device
 * did not sign are removed. Returns undefined if the tenant has no asset with this id.
 *
 * @throws AuthorityFault if the signature of the asset is not valid
 */
export async function readAssetItem(
  { authority }: Pick<ControlDeps, "authority">,
  tenantId: string,
  assetId: string,
): Promise<CheckedAsset | undefined> {
  const stored = await authority.read(assetKey(tenantId, assetId));
  return stored && authority.checkReports(decodeItem(assetItem, stored));
}
