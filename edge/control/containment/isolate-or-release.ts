import { nextGeneration, refusedChange, statusAfter } from "../../../shared/containment/containment-state.ts";
import type { AssetItem } from "../../../shared/table/items/asset/asset.ts";
import { actionRequired, assetState, indexSort } from "../../../shared/table/keys.ts";
import { timestamp } from "../../../shared/time/clock.ts";
import { accept, refuse } from "../../../shared/verdict.ts";
import { DIRECTIVE_LIFETIME_SECONDS, signDirective } from "../../../shared/wire/directive.ts";
import type { Mode, StopEnginesBy } from "../../../shared/wire/heartbeat.ts";
import { mayRespond } from "../../auth/authenticate.ts";
import type { Admin } from "../../auth/permissions.ts";
import { readAssetItem } from "../assets/read-asset-item.ts";
import { refuseCopies } from "../assets/refuse-copies.ts";
import type { AssetChange, Committed, Decision, Plan } from "../custody/change-plan.ts";
import { commit } from "../custody/custody-transaction.ts";
import type { ControlDeps } from "../deps.ts";
import { readSettings } from "../tenant/update-tenant.ts";
import { guardIsolation } from "./isolation-limits.ts";

export type ContainmentChange = {
  assetId: string;
  action: "isolate" | "release";
  /** Mode of an isolation. Ignored for a release, which keeps the mode that the isolation had. */
  mode?: Mode;
  /**
   * Method for stopping engines, as shown on the page that the caller used. The change is refused as a
   * conflict if the setting has changed since then.
   */
  stopEnginesBy?: StopEnginesBy;
  justification: string;
  /**
   * Skips the tenant's hourly limit and the approval of a second person. The custody record shows that they
   * were skipped.
   */
  breakGlass?: boolean;
  /**
   * Applies the change to all machines that share the identity. If absent, a change to a shared identity is
   * refused.
   */
  everyCopy?: boolean;
  idempotencyKey: string;
  sourceIp: string;
  requestId: string;
};

/**
 * The new generation. If `approvalId` is set, nothing has changed yet, because a second person must first
 * approve the request with that id.
 */
export type Changed = { generation: number; approvalId?: string };

/**
 * Isolates or releases an asset, in one transaction with its custody record.
 *
 * @returns `admin.forbidden` without the permission `contain`, `admin.not-found` for an unknown asset, `admin.conflict` if
 *   the asset already has that status, `admin.copies` if several machines share the identity, `admin.capped` above the
 *   hourly limit
 */
export async function changeContainment(
  admin: Admin,
  change: ContainmentChange,
  deps: ControlDeps,
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

type Transition = Pick<ContainmentChange, "action" | "mode" | "justification"> & { target?: string };
type Wish = NonNullable<AssetItem["wish"]>;

/**
 * Builds the change that isolates or releases an asset, with the signed directive for the agent.
 *
 * @param transition requested change. Its `target` is stored in the custody record: the id of the approval,
 * or `break-glass`.
 */
export async function wishedChange(
  before: AssetItem,
  { action, mode, justification, target }: Transition,
  nowMs: number,
  deps: ControlDeps,
): Promise<AssetChange> {
  const { tenantId, assetId } = before;
  const wish = await signWish(before, { action, mode: mode ?? before.wish?.mode ?? "observe" }, nowMs, deps);
  const { generation, requestedAt } = wish;
  const how = {
    mode: wish.mode,
    ...(wish.stopEnginesBy !== undefined && { stopEnginesBy: wish.stopEnginesBy }),
  };
  const status = statusAfter(action);
  return {
    before,
    set: {
      ...{ status, generation, wish },
      GSI1SK: assetState(status),
      GSI2PK: actionRequired(tenantId),
      GSI2SK: indexSort(requestedAt, assetId),
    },
    // The condition of this write also refuses a second isolation, in addition to the earlier checks.
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
        data: { generation, ...how, justification, ...(target !== undefined && { approval: target }) },
      },
    ],
    records: [
      {
        ...{ action, ...how, generation },
        ...(target !== undefined && { target }),
        ...{ before: before.status, after: status, justification },
      },
    ],
  };
}

/** Builds the requested containment of an asset and signs the directive that the agent receives. */
async function signWish(
  before: AssetItem,
  { action, mode }: Pick<Wish, "action" | "mode">,
  nowMs: number,
  deps: ControlDeps,
): Promise<Wish> {
  const { tenantId, assetId } = before;
  const generation = nextGeneration(before);
  const iat = Math.floor(nowMs / 1000);
  const exp = iat + DIRECTIVE_LIFETIME_SECONDS;
  const settings = action === "isolate" ? (await readSettings(deps, tenantId)).value : undefined;
  const by = mode === "stop-engines" ? settings?.stopEnginesBy : undefined;
  const how = by !== undefined && { stopEnginesBy: by };
  const directive = await signDirective(deps.controlKey!, {
    tenant: tenantId,
    asset: assetId,
    generation,
    action,
    mode,
    // The claim is only sent for `terminate`. Agents suspend engines by default, and older agents do not
    // support the claim.
    ...(by === "terminate" && how),
    ...(settings && settings.isolationNotice !== "" && { notice: settings.isolationNotice }),
    // Binds the directive to the mainboard, so that a copy of the identity on another machine does not apply
    // it.
    ...(before.hardware?.strength === "board" && { hardware: before.hardware.id }),
    iat,
    exp,
  });
  const times = { requestedAt: timestamp(nowMs), expiresAt: timestamp(exp * 1000) };
  return { generation, action, mode, ...how, ...times, directive };
}
