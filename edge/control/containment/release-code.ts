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
import { type Asker, commit, type Decision } from "../custody/custody-transaction.ts";

type Wanted = { assetId: string; hours: number; justification: string };
type Made = { codeId: string; generation: number; expiresAt: string; code?: string };

/**
 * Makes a code for a host that is, or may still be, contained. Who made it and why is in the custody log. It is the one
 * way out for a revoked host: no directive reaches that any more.
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
      return refuse("admin.conflict", "the asset is not contained");
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
 * Writes into the custody log that hosts were freed with a code, as soon as a node that holds the control key
 * hears of it: with a heartbeat of that host, or with any request of an admin. What fails is tried again then.
 *
 * @param only this asset; undefined: all of the tenant
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
      return refuse("admin.conflict", "there is nothing to record");
    const draft = {
      action: "release-offline" as const,
      mode: freed.mode,
      generation,
      before: statusAfter("isolate"),
      after: "RELEASED-OFFLINE",
      // One from before devices signed their reports proves nothing to who verifies the log.
      ...(freed.signedBy !== undefined && { report: freed }),
      justification: freed.reason ?? "released at the host",
    };
    const after = { ...before, offlineReleaseOf: generation };
    // An admin's release was proven meanwhile: only the record that was missing kept the action open.
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

/** Under the condition that no worker has opened the action anew since this was read. */
const closing = ({ setBack }: AssetItem, freedByCode: ContainmentReport) => ({
  isClosed: true,
  equal: { freedByCode, ...(setBack && { setBack }) },
  ...(!setBack && { absent: ["setBack"] }),
});
