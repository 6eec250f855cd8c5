import { approvalItem } from "../../../shared/table/items/approval.ts";
import { decodeItem } from "../../../shared/table/items/decode.ts";
import { approvalKey } from "../../../shared/table/keys.ts";
import { timestamp } from "../../../shared/time/clock.ts";
import { accept, refuse } from "../../../shared/verdict.ts";
import { readAssetItem } from "../assets/read-asset-item.ts";
import type { Asker, Committed, Decision } from "../custody/change-plan.ts";
import { commit } from "../custody/custody-transaction.ts";
import type { ControlDeps } from "../deps.ts";

export type Denied = { assetId: string; approvalId: string };

/**
 * Denies a request to isolate and stores the reason in a custody record. The person who made the request can
 * withdraw the request with the same call. Refuses with `admin.conflict` a request that was already decided
 * or has expired.
 */
export async function denyIsolation(
  asker: Asker,
  { approvalId, justification }: { approvalId: string; justification: string },
  deps: ControlDeps,
): Promise<Decision<Committed<Denied>>> {
  const { admin } = asker;
  const { tenantId } = admin;
  const key = approvalKey(tenantId, approvalId);
  const decide = async (nowMs: number) => {
    const stored = await deps.authority.read(key);
    if (!stored) return refuse("admin.not-found");
    const request = decodeItem(approvalItem, stored);
    if (admin.via !== "session")
      return refuse("admin.forbidden", "API keys cannot deny requests to isolate: sign in");
    if (request.approvedAt !== undefined) return refuse("admin.conflict", "the request was already approved");
    if (request.deniedAt !== undefined) return refuse("admin.conflict", "the request was already denied");
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
