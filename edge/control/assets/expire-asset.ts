import { expiryOf, isContained } from "../../../shared/fleet/expiry.ts";
import { accept, refuse } from "../../../shared/verdict.ts";
import type { Asker, Committed, Decision } from "../custody/change-plan.ts";
import { commit } from "../custody/custody-transaction.ts";
import type { ControlDeps } from "../deps.ts";
import { readAssetItem } from "./read-asset-item.ts";
import { readPresences } from "./read-assets.ts";
import { removal } from "./retire-assets.ts";

/** Takes one asset off the active list until its next heartbeat. Refuses a contained asset with `admin.conflict`. */
export async function expireAsset(
  asker: Asker,
  { assetId, justification }: { assetId: string; justification: string },
  deps: ControlDeps,
): Promise<Decision<Committed<{ assetId: string }>>> {
  const { tenantId } = asker.admin;
  const decide = async (nowMs: number) => {
    const [before, presences] = await Promise.all([
      readAssetItem(deps, tenantId, assetId),
      readPresences(deps, tenantId, [assetId]),
    ]);
    if (!before) return refuse("admin.not-found");
    if (isContained(before, nowMs))
      return refuse(
        "admin.conflict",
        "the asset is contained, so it stays on the active list: release it first",
      );
    // With 0 expiry days, no host expires because it is silent. Therefore only the administrator's decision
    // counts here.
    const left = expiryOf(before, presences.get(assetId), 0, nowMs);
    if (left) return refuse("admin.conflict", `the asset is already off the active list (${left.reason})`);
    return accept({ assets: [removal(before, nowMs, justification)], result: { assetId } });
  };
  return commit(asker, ["expire", assetId, justification], decide, deps);
}
