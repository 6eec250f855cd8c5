import { nextGeneration, refusedChange } from "../../../shared/containment/containment-state.ts";
import { approvalItem } from "../../../shared/table/items/approval.ts";
import { decodeItem } from "../../../shared/table/items/decode.ts";
import { approvalKey } from "../../../shared/table/keys.ts";
import { timestamp } from "../../../shared/time/clock.ts";
import { accept, refuse } from "../../../shared/verdict.ts";
import { KEY_USER_PREFIX } from "../../auth/authenticate-api-key.ts";
import { readAssetItem } from "../assets/read-asset-item.ts";
import { refuseCopies } from "../assets/refuse-copies.ts";
import type { Asker, Committed, Decision } from "../custody/change-plan.ts";
import { commit } from "../custody/custody-transaction.ts";
import type { ControlDeps } from "../deps.ts";
import { wishedChange } from "./isolate-or-release.ts";
import { guardIsolation } from "./isolation-limits.ts";

export type Approved = { assetId: string; generation: number };

/**
 * Approves another person's request to isolate (four-eyes principle). Isolates the asset in one transaction
 * with a custody record that names the request. A person cannot approve their own request, or a request from
 * an API key that they created. API keys cannot approve requests. A request expires after one hour.
 */
export async function approveIsolation(
  asker: Asker,
  approvalId: string,
  deps: ControlDeps,
): Promise<Decision<Committed<Approved>>> {
  const { admin } = asker;
  const { tenantId } = admin;
  const key = approvalKey(tenantId, approvalId);
  const decide = async (nowMs: number) => {
    const stored = await deps.authority.read(key);
    if (!stored) return refuse("admin.not-found");
    const request = decodeItem(approvalItem, stored);
    if (admin.via !== "session")
      return refuse("admin.forbidden", "API keys cannot approve requests to isolate: sign in");
    const { requestedBy, keyMadeBy } = request;
    if (requestedBy === admin.userId)
      return refuse("admin.forbidden", "you cannot approve your own request: another person must approve it");
    if (keyMadeBy === admin.userId)
      return refuse("admin.forbidden", "you cannot approve a request from an API key that you created");
    // Requests from an older version do not name the creator of the API key. The approver could be the
    // creator, so such requests are refused.
    if (requestedBy.startsWith(KEY_USER_PREFIX) && keyMadeBy === undefined)
      return refuse(
        "admin.conflict",
        "the request does not name the creator of its API key: request the isolation again",
      );
    if (request.approvedAt !== undefined) return refuse("admin.conflict", "the request was already approved");
    if (request.deniedAt !== undefined) return refuse("admin.conflict", "the request was denied");
    if (!(nowMs < Date.parse(request.validUntil))) return refuse("admin.conflict", "the request has expired");
    const asset = await readAssetItem(deps, tenantId, request.assetId);
    if (!asset) return refuse("admin.not-found");
    const wrong = refusedChange(asset, "isolate", nowMs);
    if (wrong) return refuse("admin.conflict", wrong);
    if (request.generation !== undefined && request.generation !== asset.generation)
      return refuse(
        "admin.conflict",
        "the asset was isolated or released since the request: request the isolation again",
      );
    const shared = request.everyCopy ? undefined : await refuseCopies(asset, nowMs, deps);
    if (shared) return shared;
    const { mode, stopEnginesBy, justification, assetId } = request;
    const how = stopEnginesBy && { stopEnginesBy };
    const isolation = { admin, mode, ...how, justification, breakGlass: false, isApproved: true };
    const guarded = await guardIsolation(asset, isolation, nowMs, deps);
    if (!guarded.ok) return guarded;
    const wanted = { action: "isolate" as const, mode, justification, target: approvalId };
    const changed = await wishedChange(asset, wanted, nowMs, deps);
    const settle = {
      key,
      set: { approvedAt: timestamp(nowMs), approvedBy: admin.userId },
      condition:
        "attribute_exists(PK) AND attribute_not_exists(approvedAt) AND attribute_not_exists(deniedAt)",
    };
    const { writes } = guarded.value;
    const result = { assetId, generation: nextGeneration(asset) };
    return accept({ assets: [changed], writes, changes: [settle], result });
  };
  return commit(asker, ["approve", approvalId], decide, deps);
}
