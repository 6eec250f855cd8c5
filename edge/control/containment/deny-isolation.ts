import { approvalItem } from "../../../shared/table/items/approval.ts";
import { decodeItem } from "../../../shared/table/items/decode.ts";
import { approvalKey } from "../../../shared/table/keys.ts";
import { timestamp } from "../../../shared/time/clock.ts";
import { accept, refuse } from "../../../shared/verdict.ts";
import type { Deps } from "../../deps.ts";
import { readAssetItem } from "../assets/read-asset-item.ts";
import { type Asker, type Committed, commit, type Decision } from "../custody/custody-transaction.ts";

export type Denied = { assetId: string; approvalId: string };

/**
 * The second pair of eyes says no, with its reason in a custody record. Whoever asked may deny their own request
 * too: that takes it back. Refuses with `admin.conflict` what was answered before or has expired.
 */
export async function denyIsolation(
  asker: Asker,
  { approvalId, justification }: { approvalId: string; justification: string },
  deps: Deps,
): Promise<Decision<Committed<Denied>>> {
  const { admin } = asker;
  const { tenantId } = admin;
  const key = approvalKey(tenantId, approvalId);
  const decide = async (nowMs: number) => {
    const stored = await deps.authority.read(key);
    if (!stored) return refuse("admin.not-found");
    const request = decodeItem(approvalItem, stored);
    if (admin.via !== "session") return refuse("admin.forbidden", "no machine answers a request");
    if (request.approvedAt !== undefined) return refuse("admin.conflict", "it was approved already");
    if (request.deniedAt !== undefined) return refuse("admin.conflict", "it was denied already");
    if (!(nowMs < Date.parse(request.validUntil))) return refuse("admin.conflict", "the request has expired");
    const { assetId, mode } = request;
    const before = await readAssetItem(deps, tenantId, assetId);
    if (!before) return refuse("admin.not-found");
    const settle = {
      key,
      set: { deniedAt: timestamp(nowMs), deniedBy: admin.userId },
      condition:
        "attribute_exists(PK) AND attribute_not_exists(approvedAt) AND attribute_not_exists(deniedAt)",
    };
    const records = [{ action: "deny-isolation" as const, mode, target: approvalId, justification }];
    return accept({ assets: [{ before, records }], changes: [settle], result: { assetId, approvalId } });
  };
  return commit(asker, ["deny", approvalId, justification], decide, deps);
}
