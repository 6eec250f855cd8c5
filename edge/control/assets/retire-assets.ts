import { AuthorityFault } from "../../../shared/authority/types.ts";
import { isContained } from "../../../shared/fleet/expiry.ts";
import { type AssetItem, assetItem } from "../../../shared/table/items/asset/asset.ts";
import type { PresenceItem } from "../../../shared/table/items/asset/presence.ts";
import { decodeItem } from "../../../shared/table/items/decode.ts";
import { actionRequired, assetKey, indexSort } from "../../../shared/table/keys.ts";
import { timestamp } from "../../../shared/time/clock.ts";
import { HOUR_MS } from "../../../shared/time/durations.ts";
import { accept, refuse } from "../../../shared/verdict.ts";
import type { Asker, AssetChange, Decision, Plan, Refused } from "../custody/change-plan.ts";
import { commit } from "../custody/custody-transaction.ts";
import type { ControlDeps } from "../deps.ts";
import { readPresences } from "./read-assets.ts";
import { silenceMs } from "./search-assets.ts";
import type { SkipReason } from "./skip-reasons.ts";

/**
 * Maximum number of assets per request. Each asset takes 3 of the 100 items of a transaction: the asset, its
 * signed record and a custody record.
 */
export const BULK_ASSETS_MAX = 25;

export type Retired = { changed: string[]; skipped: { assetId: string; reason: SkipReason }[] };

export type Retirement = {
  action: "revoke" | "expire";
  assetIds: readonly string[];
  justification: string;
  /**
   * Skips assets that reported within this many hours, because they may have returned since the caller listed
   * them. If absent, recent reports do not cause an asset to be skipped.
   */
  silentHours?: number | undefined;
  /**
   * Also revokes contained hosts. Directives no longer reach a revoked host, so it can only be released with
   * a release code.
   */
  evenIfContained?: boolean | undefined;
};

/**
 * Revokes assets or takes them off the active list, in one transaction with a custody record for each. Assets
 * that cannot be changed are returned in `skipped` with the reason. If all assets are skipped, nothing is
 * written and the request still succeeds. An interrupted bulk change can therefore be repeated.
 */
export async function retireAssets(
  asker: Asker,
  retirement: Retirement,
  deps: ControlDeps,
): Promise<Decision<Retired>> {
  const { action, justification, silentHours, evenIfContained } = retirement;
  const assetIds = [...new Set(retirement.assetIds)];
  let none: { refused: Refused; result: Retired } | undefined;
  const decide = async (nowMs: number): Promise<Decision<Plan<Retired>>> => {
    const { found, skipped } = await sorted({ ...retirement, assetIds }, asker.admin.tenantId, nowMs, deps);
    const result = { changed: found.map(({ assetId }) => assetId), skipped };
    if (found.length > 0) {
      const change = action === "revoke" ? revocation : removal;
      return accept({ assets: found.map((asset) => change(asset, nowMs, justification)), result });
    }
    none = { refused: refuse("admin.conflict", "all of these assets were skipped"), result };
    return none.refused;
  };
  const asked = [`${action}-assets`, assetIds, justification, silentHours, evenIfContained];
  const done = await commit(asker, asked, decide, deps);
  if (done.ok) return accept(done.value.result);
  return none?.refused === done ? accept(none.result) : done;
}

/** Separates assets that can be changed from those that are skipped. */
async function sorted(
  { action, assetIds, silentHours, evenIfContained }: Retirement,
  tenantId: string,
  nowMs: number,
  deps: ControlDeps,
): Promise<{ found: AssetItem[]; skipped: Retired["skipped"] }> {
  const [stored, presences] = await Promise.all([
    deps.authority.readMany(assetIds.map((id) => assetKey(tenantId, id))),
    readPresences(deps, tenantId, assetIds),
  ]);
  const found: AssetItem[] = [];
  const skipped: Retired["skipped"] = [];
  for (const [index, assetId] of assetIds.entries()) {
    const item = stored[index];
    if (!item || item instanceof AuthorityFault) {
      skipped.push({ assetId, reason: item ? "not-signed" : "not-found" });
      continue;
    }
    const asset = await deps.authority.checkReports(decodeItem(assetItem, item));
    const presence = presences.get(assetId);
    const reason = isDone(action, asset, presence)
      ? "already"
      : isContained(asset, nowMs) && !(action === "revoke" && evenIfContained)
        ? "contained"
        : silentHours !== undefined && silenceMs({ ...asset, presence }, nowMs) < silentHours * HOUR_MS
          ? "reported"
          : undefined;
    if (reason) skipped.push({ assetId, reason });
    else found.push(asset);
  }
  return { found, skipped };
}

function isDone(
  action: Retirement["action"],
  { revokedAt, supersededBy, expiredAt }: AssetItem,
  presence: PresenceItem | undefined,
): boolean {
  if (action === "revoke") return revokedAt !== undefined;
  return supersededBy !== undefined || (expiredAt !== undefined && expiredAt >= (presence?.lastSeenAt ?? ""));
}

/**
 * Builds the change that revokes an asset permanently. Every edge node then refuses its heartbeats within 2 s
 * (the refresh interval of pending actions) and opens no session for it. A host that returns must enrol as a
 * new asset.
 */
export function revocation(before: AssetItem, nowMs: number, justification: string): AssetChange {
  const { tenantId, assetId, status } = before;
  const revokedAt = timestamp(nowMs);
  return {
    before,
    set: { revokedAt, GSI2PK: actionRequired(tenantId), GSI2SK: indexSort(revokedAt, assetId) },
    absent: ["revokedAt"],
    records: [{ action: "revoke", before: status, after: "REVOKED", justification }],
  };
}

/** Builds the change that takes an asset off the active list until its next heartbeat. */
export function removal(before: AssetItem, nowMs: number, justification: string): AssetChange {
  return {
    before,
    set: { expiredAt: timestamp(nowMs) },
    // The transaction fails if the asset was isolated or released after it was read.
    equal: { status: before.status, generation: before.generation },
    records: [{ action: "expire", before: before.status, after: "EXPIRED", justification }],
  };
}
