import { accept, refuse } from "../../../shared/verdict.ts";
import type { Asker, Committed, Decision } from "../custody/change-plan.ts";
import { commit } from "../custody/custody-transaction.ts";
import type { ControlDeps } from "../deps.ts";
import { readAssetItem } from "./read-asset-item.ts";
import { revocation } from "./retire-assets.ts";

/** Revokes one asset permanently, even if it is contained. See {@link revocation}. */
export async function revokeAsset(
  asker: Asker,
  { assetId, justification }: { assetId: string; justification: string },
  deps: ControlDeps,
): Promise<Decision<Committed<{ assetId: string }>>> {
  const decide = async (nowMs: number) => {
    const before = await readAssetItem(deps, asker.admin.tenantId, assetId);
    if (!before) return refuse("admin.not-found");
    if (before.revokedAt !== undefined) return refuse("admin.conflict", "the asset is already revoked");
    return accept({ assets: [revocation(before, nowMs, justification)], result: { assetId } });
  };
  return commit(asker, ["revoke", assetId, justification], decide, deps);
}
