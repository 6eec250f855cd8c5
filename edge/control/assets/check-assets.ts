import {
  type CheckedAsset,
  isWithoutReports,
  refuseReports,
} from "../../../shared/authority/check-reports.ts";
import { readCheckedAssets } from "../../../shared/authority/read-checked-assets.ts";
import { isTakenOff } from "../../../shared/fleet/expiry.ts";
import type { AssetItem } from "../../../shared/table/items/asset/asset.ts";
import type { Deps } from "../../deps.ts";

/**
 * Assets of a list, with only such reports as their devices signed. An asset that has a report, or that left the active
 * list by somebody's decision, is read again with its authority records: the device key is then one that the control plane
 * vouches for, and the decision an administrator's. The others cost nothing.
 */
export async function checkAssets(
  { authority }: Pick<Deps, "authority">,
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
