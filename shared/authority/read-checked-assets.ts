import { assetItem } from "../table/items/asset/asset.ts";
import { decodeItem } from "../table/items/decode.ts";
import { assetKey } from "../table/keys.ts";
import type { CheckedAsset } from "./check-reports.ts";
import type { Authority } from "./read-authority.ts";

/**
 * Reads assets and verifies their signatures. Each asset contains only the reports that its device signed.
 * Assets that do not exist, or whose signature is not valid, are left out. Costs three read units per asset,
 * see `Authority.read`.
 */
export async function readCheckedAssets(
  authority: Pick<Authority, "readMany" | "checkReports">,
  tenantId: string,
  assetIds: readonly string[],
): Promise<Map<string, CheckedAsset>> {
  const found = new Map<string, CheckedAsset>();
  if (assetIds.length === 0) return found;
  for (const stored of await authority.readMany(assetIds.map((id) => assetKey(tenantId, id)))) {
    if (stored === undefined || stored instanceof Error) continue;
    const asset = await authority.checkReports(decodeItem(assetItem, stored));
    found.set(asset.assetId, asset);
  }
  return found;
}
