import { base64url } from "../../../shared/encoding/bytes.ts";
import { isContained } from "../../../shared/fleet/expiry.ts";
import { type AssetItem, SUPERSEDED_MAX } from "../../../shared/table/items/asset/asset.ts";
import type { PresenceItem } from "../../../shared/table/items/asset/presence.ts";
import { accept, refuse } from "../../../shared/verdict.ts";
import type { Asker, AssetChange, Decision, Plan } from "../custody/change-plan.ts";
import { commit } from "../custody/custody-transaction.ts";
import type { ControlDeps } from "../deps.ts";
import { listAssetIncidents } from "../incidents/list-incidents.ts";
import { BULK_INCIDENTS_MAX, closeIncidents } from "../incidents/update-incidents.ts";
import { readAssetItem } from "./read-asset-item.ts";
import { readPresences } from "./read-assets.ts";
import { revocation } from "./retire-assets.ts";
import { silenceMs } from "./search-assets.ts";

/**
 * A host that reported within this time is in use and cannot be merged. Its two assets may have been swapped
 * in the request, or two hosts may share an identity.
 */
const MERGE_SILENCE_MS = 10 * 60_000;

export type Merge = {
  /** Id of the asset that is superseded. */
  assetId: string;
  /** Id of the asset that replaces the superseded asset. */
  into: string;
  justification: string;
  evenIfActive?: boolean | undefined;
};

export type Merged = { assetId: string; into: string; incidentsClosed: number };

/**
 * Merges an asset into the asset that replaced it. One transaction revokes the old asset, links the two
 * assets, and adds a custody record for each. The old device key can never report again. The history of the
 * old asset stays with the old asset.
 *
 * The open incidents of the old asset are closed afterwards in separate transactions, because they can exceed
 * the limits of one transaction. If closing them is interrupted, repeating the request closes the remaining
 * incidents.
 */
export async function mergeAssets(asker: Asker, merge: Merge, deps: ControlDeps): Promise<Decision<Merged>> {
  const { assetId, into, justification, evenIfActive = false } = merge;
  const { tenantId } = asker.admin;
  const decide = async (nowMs: number): Promise<Decision<Plan<null>>> => {
    const [old, next, presences] = await Promise.all([
      readAssetItem(deps, tenantId, assetId),
      readAssetItem(deps, tenantId, into),
      readPresences(deps, tenantId, [assetId]),
    ]);
    if (!old) return refuse("admin.not-found");
    const wrong = whyNotMerge(old, next, presences.get(assetId), evenIfActive, nowMs);
    if (wrong !== undefined) return refuse("admin.conflict", wrong);
    return accept({ assets: mergeChanges(old, next!, justification, nowMs), result: null });
  };
  const asked = ["merge", assetId, into, justification, evenIfActive];
  const done = await commit(asker, asked, decide, deps);
  if (!done.ok && !(await isUnfinished(tenantId, merge, deps))) return done;
  return accept({ assetId, into, incidentsClosed: await closeAll(asker, merge, deps) });
}

/** Reason why the two assets cannot be merged, or undefined if they can. */
function whyNotMerge(
  old: AssetItem,
  next: AssetItem | undefined,
  presence: PresenceItem | undefined,
  evenIfActive: boolean,
  nowMs: number,
): string | undefined {
  if (next && old.assetId === next.assetId) return "an asset cannot be merged into itself";
  if (!next) return "the other asset does not exist: check the id in `into`";
  if (old.supersededBy !== undefined) return `the asset was already merged into ${old.supersededBy}`;
  // Prevents circular merges.
  if (next.supersededBy !== undefined)
    return `the other asset was itself merged into ${next.supersededBy}: merge into that one`;
  if (next.revokedAt !== undefined) return "the other asset is revoked, so it cannot replace this one";
  if (isContained(old, nowMs)) return "the asset is contained: release it first";
  if ((next.supersedes?.length ?? 0) >= SUPERSEDED_MAX)
    return `the other asset already replaces ${SUPERSEDED_MAX} assets, which is the maximum`;
  if (!evenIfActive && presence && silenceMs({ ...old, presence }, nowMs) < MERGE_SILENCE_MS)
    return "the asset reported within the last 10 minutes, so it is in use: set evenIfActive to merge it anyway";
  return undefined;
}

function mergeChanges(old: AssetItem, next: AssetItem, justification: string, nowMs: number): AssetChange[] {
  const revoked = revocation(old, nowMs, justification);
  const { revokedAt: _at, ...index } = revoked.set as Record<string, string>;
  // An asset that is already revoked keeps its original time of revocation.
  const isRevoked = old.revokedAt !== undefined;
  const record = { action: "merge" as const, justification };
  return [
    {
      before: old,
      set: { ...(isRevoked ? index : revoked.set), supersededBy: next.assetId },
      equal: { status: old.status, generation: old.generation },
      absent: ["supersededBy", ...(isRevoked ? [] : ["revokedAt"])],
      records: [{ ...record, target: next.assetId, before: old.status, after: "SUPERSEDED" }],
    },
    {
      before: next,
      set: { supersedes: [...(next.supersedes ?? []), old.assetId] },
      absent: ["supersededBy", "revokedAt"],
      records: [{ ...record, target: old.assetId, before: next.status, after: "SUPERSEDES" }],
    },
  ];
}

/** Whether an earlier request merged these assets but left incidents open. */
async function isUnfinished(tenantId: string, { assetId, into }: Merge, deps: ControlDeps): Promise<boolean> {
  const old = await readAssetItem(deps, tenantId, assetId);
  return old?.supersededBy === into && (await openIncidents(tenantId, assetId, deps)).length > 0;
}

async function openIncidents(tenantId: string, assetId: string, deps: ControlDeps): Promise<string[]> {
  const { incidents } = await listAssetIncidents(deps, tenantId, assetId);
  return incidents.filter(({ status }) => status === "OPEN").map(({ id }) => id);
}

async function closeAll(asker: Asker, { assetId, into }: Merge, deps: ControlDeps): Promise<number> {
  const ids = await openIncidents(asker.admin.tenantId, assetId, deps);
  const reason = `the host was merged into asset ${into}`;
  let closed = 0;
  for (let from = 0; from < ids.length; from += BULK_INCIDENTS_MAX) {
    const idempotencyKey = base64url(deps.random(18));
    const part = ids.slice(from, from + BULK_INCIDENTS_MAX);
    closed += await closeIncidents({ ...asker, idempotencyKey }, { ids: part, reason }, deps);
  }
  return closed;
}
