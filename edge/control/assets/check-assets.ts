import {
  type CheckedAsset,
  isWithoutReports,
  refuseReports,
} from "../../../shared/authority/check-reports.ts";
import { readCheckedAssets } from "../../../shared/authority/read-checked-assets.ts";
import { isTakenOff } from "../../../shared/fleet/expiry.ts";
import type { AssetItem } from "../../../shared/table/items/asset/asset.ts";
import type { ControlDeps } from "../deps.ts";

/**
 * Removes reports that the device did not sign from a list of assets. Assets with a report, and assets that
 * an administrator took off the active list, are read again with their signed records. The signed records
 * prove the device key and the administrator's decision. Other assets need no additional read.
 */
export async function checkAssets(
  { authority }: Pick<ControlDeps, "authority">,
  tenantId: string,
  assets: readonly AssetItem[],
): Promise<CheckedAsset[]> {
  const claiming = assets.filter(isClaiming).map(({ assetId }) => assetId);
  const checked = await readCheckedAssets(authority, tenantId, claiming);
  return assets.map((asset) =>
    isClaiming(asset) ? (checked.get(asset.assetId) ?? refuseClaims(asset)) : (asset as CheckedAsset),
  );
}

const isClaiming = (asset: AssetItem): boolean => !isWithoutReports(asset) || isTakenOff(asset);

function refuseClaims(asset: AssetItem): CheckedAsset {
  const { expiredAt: _, supersededBy: __, ...listed } = asset;
  return refuseReports(listed);
}
