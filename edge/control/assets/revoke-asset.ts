import { accept, refuse } from "../../../shared/verdict.ts";
import type { Deps } from "../../deps.ts";
import { type Asker, type Committed, commit, type Decision } from "../custody/custody-transaction.ts";
import { readAssetItem } from "./read-asset-item.ts";
import { revocation } from "./retire-assets.ts";

/** Revokes one asset for good, contained or not: see {@link revocation}. */
export async function revokeAsset(
  asker: Asker,
  { assetId, justification }: { assetId: string; justification: string },
  deps: Deps,
): Promise<Decision<Committed<{ assetId: string }>>> {
  const decide = async (nowMs: number) => {
    const before = await readAssetItem(deps, asker.admin.tenantId, assetId);
    if (!before) return refuse("admin.not-found");
    if (before.revokedAt !== undefined) return refuse("admin.conflict", "the asset was revoked already");
    return accept({ assets: [revocation(before, nowMs, justification)], result: { assetId } });
  };
  return commit(asker, ["revoke", assetId, justification], decide, deps);
}
