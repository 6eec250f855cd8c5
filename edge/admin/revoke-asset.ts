import { timestamp } from "../../shared/clock.ts";
import { accept, refuse } from "../../shared/refusal.ts";
import { actionRequired, indexSort } from "../../shared/table/keys.ts";
import type { Deps } from "../deps.ts";
import { type Asker, type Committed, commit, type Decision } from "./commit.ts";
import { readAssetItem } from "./read-asset-item.ts";

/**
 * Revokes an asset for good: every edge node refuses its heartbeats within the two seconds in which it learns
 * of open actions, and it gets no session any more. A host that is to come back enrols as a new asset.
 */
export async function revokeAsset(
  asker: Asker,
  { assetId, justification }: { assetId: string; justification: string },
  deps: Deps,
): Promise<Decision<Committed<{ assetId: string }>>> {
  const { tenantId } = asker.admin;
  const decide = async (nowMs: number) => {
    const before = await readAssetItem(deps, tenantId, assetId);
    if (!before) return refuse("admin.not-found");
    if (before.revokedAt !== undefined) return refuse("admin.conflict", "the asset was revoked already");
    const revokedAt = timestamp(nowMs);
    const change = {
      before,
      set: { revokedAt, GSI2PK: actionRequired(tenantId), GSI2SK: indexSort(revokedAt, assetId) },
      absent: ["revokedAt"],
      records: [{ action: "revoke" as const, before: before.status, after: "REVOKED", justification }],
    };
    return accept({ assets: [change], result: { assetId } });
  };
  return commit(asker, ["revoke", assetId, justification], decide, deps);
}
