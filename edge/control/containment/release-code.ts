import { ulid } from "ulid";
import {
  containmentOf,
  statusAfter,
  unrecordedRelease,
} from "../../../shared/containment/containment-state.ts";
import type { AssetItem } from "../../../shared/table/items/asset/asset.ts";
import { timestamp } from "../../../shared/time/clock.ts";
import { accept, refuse } from "../../../shared/verdict.ts";
import type { ContainmentReport } from "../../../shared/wire/heartbeat.ts";
import { signReleaseCode } from "../../../shared/wire/release-code.ts";
import type { Admin } from "../../auth/permissions.ts";
import type { Deps } from "../../deps.ts";
import { readAssetItem } from "../assets/read-asset-item.ts";
import type { Asker, Decision } from "../custody/change-plan.ts";
import { commit } from "../custody/custody-transaction.ts";

type Wanted = { assetId: string; hours: number; justification: string };
type Made = { codeId: string; generation: number; expiresAt: string; code?: string };

/**
 * Creates a release code for a contained host, which frees it without a connection. The custody log records who created it
 * and why. For a revoked host it is the only way out, because directives no longer reach it.
 */
export async function makeReleaseCode(
  asker: Asker,
  { assetId, hours, justification }: Wanted,
  deps: Deps,
): Promise<Decision<Made>> {
  const { tenantId } = asker.admin;
  const decide = async (nowMs: number) => {
    const before = await readAssetItem(deps, tenantId, assetId);
    if (!before) return refuse("admin.not-found");
    if (containmentOf(before, undefined, nowMs).state === "active")
      return refuse("admin.conflict", "the asset is not contained, so it needs no release code");
    const { generation } = before;
    const codeId = ulid(nowMs, () => deps.random(1)[0]! / 256);
    const iat = Math.floor(nowMs / 1000);
    const exp = iat + hours * 3600;
    const secret = await signReleaseCode(deps.controlKey!, {
      tenant: tenantId,
      asset: assetId,
      generation,
      jti: codeId,
      iat,
      exp,
    });
    const expiresAt = timestamp(exp * 1000);
    const action = "create-release-code" as const;
    const records = [{ action, target: codeId, generation, after: expiresAt, justification }];
    return accept({ assets: [{ before, records }], result: { codeId, generation, expiresAt }, secret });
  };
  const done = await commit(asker, ["release-code", assetId, hours, justification], decide, deps);
  if (!done.ok) return done;
  const { result, secret: code } = done.value;
  return accept({ ...result, ...(code !== undefined && { code }) });
}

/**
 * Adds custody records for hosts that were freed with a release code. Runs on nodes with the control key, with a heartbeat
 * of such a host and with each admin request. Never rejects; a failure is logged and retried with the next of these.
 *
 * @param only this asset; undefined for all assets of the tenant
 */
export async function recordOfflineReleases(
  tenantId: string,
  only: string | undefined,
  deps: Deps,
): Promise<void> {
  if (!deps.controlKey) return;
  try {
    const open = await deps.pendingActions.of(tenantId);
    const candidates = only === undefined ? [...open.keys()] : [only];
    for (const assetId of candidates.filter((id) => open.get(id)?.isFreedUnrecorded))
      await record(tenantId, assetId, deps);
  } catch (error) {
    deps.log("warn", "release-code.unrecorded", { tenantId, error });
  }
}

async function record(tenantId: string, assetId: string, deps: Deps): Promise<void> {
  const who = `asset_${assetId}`;
  const admin: Admin = {
    tenantId,
    userId: who,
    sessionId: who,
    role: "viewer",
    impersonated: false,
    via: "api-key",
    permissions: [],
  };
  const found = await readAssetItem(deps, tenantId, assetId);
  const generation = found && unrecordedRelease(found)?.generation;
  if (generation === undefined) return;
  const idempotencyKey = `offline-${assetId}-${generation}`;
  const asker: Asker = { admin, sourceIp: "none", requestId: idempotencyKey, idempotencyKey };
  const decide = async (nowMs: number) => {
    const before = await readAssetItem(deps, tenantId, assetId);
    const freed = before && unrecordedRelease(before);
    if (!before || freed?.generation !== generation)
      return refuse("admin.conflict", "the release is already recorded");
    const draft = {
      action: "release-offline" as const,
      mode: freed.mode,
      generation,
      before: statusAfter("isolate"),
      after: "RELEASED-OFFLINE",
      // A report without signature (of an older agent) proves nothing in the log, so it is left out.
      ...(freed.signedBy !== undefined && { report: freed }),
      justification: freed.reason ?? "released at the host",
    };
    const after = { ...before, offlineReleaseOf: generation };
    // If an admin's release was proven meanwhile, only the missing record kept the action pending.
    const isOver =
      before.revokedAt === undefined &&
      containmentOf(after, undefined, nowMs).state === "active" &&
      unrecordedRelease(after) === undefined;
    const change = {
      before,
      set: { offlineReleaseOf: generation },
      ...(isOver && before.freedByCode && closing(before, before.freedByCode)),
      records: [draft],
    };
    return accept({ assets: [change], result: {} });
  };
  await commit(asker, ["release-offline", assetId, generation], decide, deps);
}

/** Closes the pending action, on the condition that no worker has reopened it since the asset was read. */
const closing = ({ setBack }: AssetItem, freedByCode: ContainmentReport) => ({
  isClosed: true,
  equal: { freedByCode, ...(setBack && { setBack }) },
  ...(!setBack && { absent: ["setBack"] }),
});
