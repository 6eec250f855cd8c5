import { timestamp } from "../../shared/clock.ts";
import { refusedChange, statusAfter } from "../../shared/containment.ts";
import { accept, refuse } from "../../shared/refusal.ts";
import type { AssetItem } from "../../shared/table/items.ts";
import { actionRequired, assetState, indexSort } from "../../shared/table/keys.ts";
import { DIRECTIVE_LIFETIME_SECONDS, signDirective } from "../../shared/wire/directive.ts";
import type { Mode } from "../../shared/wire/heartbeat.ts";
import type { Deps } from "../deps.ts";
import { type Admin, mayRespond } from "./authenticate.ts";
import { type AssetChange, type Committed, commit, type Decision } from "./commit.ts";
import { readAssetItem } from "./read-asset-item.ts";

export type ContainmentChange = {
  assetId: string;
  action: "isolate" | "release";
  /** A release keeps the mode of what it ends. */
  mode?: Mode;
  justification: string;
  idempotencyKey: string;
  sourceIp: string;
  requestId: string;
};

/** The generation that was made. */
export type Changed = { generation: number };

/**
 * Isolates or releases an asset, in one transaction with its custody record.
 *
 * Refuses with `admin.conflict` when the asset already is in that status, `admin.not-found` for an asset the
 * admin's tenant does not have.
 */
export async function changeContainment(
  admin: Admin,
  change: ContainmentChange,
  deps: Deps,
): Promise<Decision<Committed<Changed>>> {
  if (!mayRespond(admin)) return refuse("admin.forbidden");
  const { assetId, action, mode, justification, ...origin } = change;
  const asked = [action, assetId, mode, justification];
  const decide = async (nowMs: number) => {
    const asset = await readAssetItem(deps, admin.tenantId, assetId);
    if (!asset) return refuse("admin.not-found");
    const wrong = refusedChange(asset, action, nowMs);
    if (wrong) return refuse("admin.conflict", wrong);
    const changed = await wishedChange(asset, change, nowMs, deps);
    return accept({ assets: [changed], result: { generation: asset.generation + 1 } });
  };
  return commit({ admin, ...origin }, asked, decide, deps);
}

async function wishedChange(
  before: AssetItem,
  { action, mode: wanted, justification }: ContainmentChange,
  nowMs: number,
  deps: Deps,
): Promise<AssetChange> {
  const { tenantId, assetId } = before;
  const generation = before.generation + 1;
  const mode = wanted ?? before.wish?.mode ?? "observe";
  const iat = Math.floor(nowMs / 1000);
  const exp = iat + DIRECTIVE_LIFETIME_SECONDS;
  const claims = { tenant: tenantId, asset: assetId, generation, action, mode, iat, exp };
  const directive = await signDirective(deps.controlKey!, claims);
  const requestedAt = timestamp(nowMs);
  const wish = { generation, action, mode, requestedAt, expiresAt: timestamp(exp * 1000), directive };
  const status = statusAfter(action);
  return {
    before,
    set: {
      status,
      generation,
      wish,
      GSI1SK: assetState(status),
      GSI2PK: actionRequired(tenantId),
      GSI2SK: indexSort(requestedAt, assetId),
    },
    // The table itself refuses a second isolation, whatever the code above believes.
    equal: { status: before.status, generation: before.generation },
    absent: ["revokedAt"],
    records: [{ action, mode, generation, before: before.status, after: status, justification }],
  };
}
