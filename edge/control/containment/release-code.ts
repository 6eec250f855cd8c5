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
import { readAssetItem } from "../assets/read-asset-item.ts";
import type { Asker, Decision } from "../custody/change-plan.ts";
import { commit } from "../custody/custody-transaction.ts";
import type { ControlDeps } from "../deps.ts";

type Wanted = { assetId: string; hours: number; justification: string };
type Made = { codeId: string; generation: number; expiresAt: string; code?: string };

/**
 * Creates a release code for a contained host. A person enters the code at the host, which is then released
 * without a connection to the edge. The custody log records who created the code and why. A revoked host can
 * only be released with a release code, because directives no longer reach it.
 */
export async function makeReleaseCode(
  asker: Asker,
  { assetId, hours, justification }: Wanted,
  deps: ControlDeps,
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
 * Adds custody records for hosts that were released with a release code. Nodes with the control key call this
 * function for each heartbeat of such a host and for each admin request. Never rejects. A failure is logged,
 * and the next call retries.
 *
 * @param only process this asset only; undefined for all assets of the tenant
 */
export async function recordOfflineReleases(
  tenantId: string,
  only: string | undefined,
  deps: ControlDeps,
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

async function record(tenantId: string, assetId: string, deps: ControlDeps): Promise<void> {
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
      // An older agent does not sign its report. An unsigned report proves nothing, so it is left out of the
      // custody record.
      ...(freed.signedBy !== undefined && { report: freed }),
      justification: freed.reason ?? "released at the host",
    };
    const after = { ...before, offlineReleaseOf: generation };
    // If the release is already proven, the action was only pending because the custody record was missing.
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

/** Closes the pending action. The condition fails if a worker has reopened the action since the asset was read. */
const closing = ({ setBack }: AssetItem, freedByCode: ContainmentReport) => ({
  isClosed: true,
  equal: { freedByCode, ...(setBack && { setBack }) },
  ...(!setBack && { absent: ["setBack"] }),
});
