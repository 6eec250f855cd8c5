import { type CheckedAsset, isWithoutReports, refuseReports } from "../../shared/authority/check-reports.ts";
import { readCheckedAssets } from "../../shared/authority/read-checked-assets.ts";
import type { AssetItem } from "../../shared/table/items/asset.ts";
import type { Deps } from "../deps.ts";

/**
 * Assets of a list, with only such reports as their devices signed. An asset that has a report is read again with its
 * authority records, so that the device key is one that the control plane vouches for. The others cost nothing.
 */
export async function checkAssets(
  { authority }: Pick<Deps, "authority">,
  tenantId: string,
  assets: readonly AssetItem[],
): Promise<CheckedAsset[]> {
  const claiming = assets.filter((asset) => !isWithoutReports(asset)).map(({ assetId }) => assetId);
  const checked = await readCheckedAssets(authority, tenantId, claiming);
  return assets.map((asset) =>
    isWithoutReports(asset) ? asset : (checked.get(asset.assetId) ?? refuseReports(asset)),
  );
}
