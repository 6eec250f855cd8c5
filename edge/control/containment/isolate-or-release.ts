import { nextGeneration, refusedChange, statusAfter } from "../../../shared/containment/containment-state.ts";
import type { AssetItem } from "../../../shared/table/items/asset/asset.ts";
import { actionRequired, assetState, indexSort } from "../../../shared/table/keys.ts";
import { timestamp } from "../../../shared/time/clock.ts";
import { accept, refuse } from "../../../shared/verdict.ts";
import { DIRECTIVE_LIFETIME_SECONDS, signDirective } from "../../../shared/wire/directive.ts";
import type { Mode, StopEnginesBy } from "../../../shared/wire/heartbeat.ts";
import { mayRespond } from "../../auth/authenticate.ts";
import type { Admin } from "../../auth/permissions.ts";
import type { Deps } from "../../deps.ts";
import { readAssetItem } from "../assets/read-asset-item.ts";
import { refuseCopies } from "../assets/refuse-copies.ts";
import {
  type AssetChange,
  type Committed,
  commit,
  type Decision,
  type Plan,
} from "../custody/custody-transaction.ts";
import { readSettings } from "../tenant/update-tenant.ts";
import { guardIsolation } from "./isolation-limits.ts";

export type ContainmentChange = {
  assetId: string;
  action: "isolate" | "release";
  /** A release keeps the mode of what it ends. */
  mode?: Mode;
  /** How engines will be stopped, as whoever asks was told: settings that say otherwise by now are a conflict. */
  stopEnginesBy?: StopEnginesBy;
  justification: string;
  /** Of an isolation: past the tenant's cap and second person, told in the record. */
  breakGlass?: boolean;
  /** Although several machines use the identity, and all of them will obey. */
  everyCopy?: boolean;
  idempotencyKey: string;
  sourceIp: string;
  requestId: string;
};

/** The generation that was made; or the request that a second person is to approve, and nothing else. */
export type Changed = { generation: number; approvalId?: string };

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
  const {
    assetId,
    action,
    mode,
    stopEnginesBy,
    justification,
    breakGlass = false,
    everyCopy = false,
    ...origin
  } = change;
  const asked = [
    action,
    assetId,
    mode,
    justification,
    ...(breakGlass ? ["break-glass"] : []),
    ...(everyCopy ? ["every-copy"] : []),
  ];
  const decide = async (nowMs: number): Promise<Decision<Plan<Changed>>> => {
    const asset = await readAssetItem(deps, admin.tenantId, assetId);
    if (!asset) return refuse("admin.not-found");
    const wrong = refusedChange(asset, action, nowMs);
    if (wrong) return refuse("admin.conflict", wrong);
    const shared = everyCopy ? undefined : await refuseCopies(asset, nowMs, deps);
    if (shared) return shared;
    if (action === "release") {
      const changed = await wishedChange(asset, change, nowMs, deps);
      return accept({ assets: [changed], result: { generation: nextGeneration(asset) } });
    }
    const told = stopEnginesBy && { stopEnginesBy };
    const request = {
      admin,
      mode: mode ?? "observe",
      ...told,
      justification,
      breakGlass,
      everyCopy,
      isApproved: false,
    };
    const guarded = await guardIsolation(asset, request, nowMs, deps);
    if (!guarded.ok) return guarded;
    const { writes } = guarded.value;
    if (guarded.value.is === "ask") {
      const { change: asking, approvalId } = guarded.value;
      return accept({ assets: [asking], writes, result: { generation: asset.generation, approvalId } });
    }
    const { target } = guarded.value;
    const changed = await wishedChange(asset, { ...change, ...(target && { target }) }, nowMs, deps);
    return accept({ assets: [changed], writes, result: { generation: nextGeneration(asset) } });
  };
  return commit({ admin, ...origin }, asked, decide, deps);
}

/** The transition itself, with the directive that carries it out. `target` goes into the record. */
export async function wishedChange(
  before: AssetItem,
  {
    action,
    mode: wanted,
    justification,
    target,
  }: Pick<ContainmentChange, "action" | "mode" | "justification"> & { target?: string },
  nowMs: number,
  deps: Deps,
): Promise<AssetChange> {
  const { tenantId, assetId } = before;
  const generation = nextGeneration(before);
  const mode = wanted ?? before.wish?.mode ?? "observe";
  const iat = Math.floor(nowMs / 1000);
  const exp = iat + DIRECTIVE_LIFETIME_SECONDS;
  const settings = action === "isolate" ? (await readSettings(deps, tenantId)).value : undefined;
  const by = mode === "stop-engines" ? settings?.stopEnginesBy : undefined;
  const how = by !== undefined && { stopEnginesBy: by };
  const claims = {
    tenant: tenantId,
    asset: assetId,
    generation,
    action,
    mode,
    // Only where it differs: what an agent that knows nothing of it does is to suspend.
    ...(by === "terminate" && how),
    ...(settings && settings.isolationNotice !== "" && { notice: settings.isolationNotice }),
    // A machine that is known to be another one must not obey.
    ...(before.hardware?.strength === "board" && { hardware: before.hardware.id }),
    iat,
    exp,
  };
  const directive = await signDirective(deps.controlKey!, claims);
  const requestedAt = timestamp(nowMs);
  const wish = { generation, action, mode, ...how, requestedAt, expiresAt: timestamp(exp * 1000), directive };
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
    equal: {
      status: before.status,
      generation: before.generation,
      ...(before.heardGeneration !== undefined && { heardGeneration: before.heardGeneration }),
    },
    absent: before.heardGeneration === undefined ? ["revokedAt", "heardGeneration"] : ["revokedAt"],
    news: [
      {
        kind: action === "isolate" ? "isolation.requested" : "release.requested",
        assetId,
        hostname: before.hostname,
        data: { generation, mode, ...how, justification, ...(target !== undefined && { approval: target }) },
      },
    ],
    records: [
      {
        action,
        mode,
        ...how,
        generation,
        ...(target !== undefined && { target }),
        before: before.status,
        after: status,
        justification,
      },
    ],
  };
}
