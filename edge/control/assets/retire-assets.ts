import { AuthorityFault } from "../../../shared/authority/types.ts";
import { isContained } from "../../../shared/fleet/expiry.ts";
import { type AssetItem, assetItem } from "../../../shared/table/items/asset/asset.ts";
import type { PresenceItem } from "../../../shared/table/items/asset/presence.ts";
import { decodeItem } from "../../../shared/table/items/decode.ts";
import { actionRequired, assetKey, indexSort } from "../../../shared/table/keys.ts";
import { timestamp } from "../../../shared/time/clock.ts";
import { accept, refuse } from "../../../shared/verdict.ts";
import type { Deps } from "../../deps.ts";
import {
  type Asker,
  type AssetChange,
  commit,
  type Decision,
  type Plan,
  type Refused,
} from "../custody/custody-transaction.ts";
import { readPresences } from "./read-assets.ts";
import { silenceMs } from "./search-assets.ts";
import type { SkipReason } from "./skip-reasons.ts";

/** Each takes three of the hundred items of a transaction: itself, its authority record, its custody record. */
export const BULK_ASSETS_MAX = 25;

export type Retired = { changed: string[]; skipped: { assetId: string; reason: SkipReason }[] };

export type Retirement = {
  action: "revoke" | "expire";
  assetIds: readonly string[];
  justification: string;
  /** Skips assets that reported within this many hours: they may have returned since the caller listed them. */
  silentHours?: number | undefined;
  /** Revokes contained hosts too: no directive reaches them any more, only a release code frees them. */
  evenIfContained?: boolean | undefined;
};

/**
 * Revokes assets, or takes them off the active list, all in one transaction with a custody record for each. Those that
 * cannot be changed are named with the reason. If that is all of them, nothing is written and the answer says so, so an
 * interrupted run can be repeated.
 */
export async function retireAssets(
  asker: Asker,
  retirement: Retirement,
  deps: Deps,
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
    none = { refused: refuse("admin.conflict", "none of these assets can be changed"), result };
    return none.refused;
  };
  const asked = [`${action}-assets`, assetIds, justification, silentHours, evenIfContained];
  const done = await commit(asker, asked, decide, deps);
  if (done.ok) return accept(done.value.result);
  return none?.refused === done ? accept(none.result) : done;
}

/** Assets that can be changed, and the others with the reason. */
async function sorted(
  { action, assetIds, silentHours, evenIfContained }: Retirement,
  tenantId: string,
  nowMs: number,
  deps: Deps,
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

const HOUR_MS = 3_600_000;

function isDone(
  action: Retirement["action"],
  { revokedAt, supersededBy, expiredAt }: AssetItem,
  presence: PresenceItem | undefined,
): boolean {
  if (action === "revoke") return revokedAt !== undefined;
  return supersededBy !== undefined || (expiredAt !== undefined && expiredAt >= (presence?.lastSeenAt ?? ""));
}

/**
 * Revokes an asset for good: every edge node refuses its heartbeats within the two seconds in which it learns
 * of open actions, and it gets no session any more. A host that is to come back enrols as a new asset.
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

/** Takes an asset off the active list until its next heartbeat. */
export function removal(before: AssetItem, nowMs: number, justification: string): AssetChange {
  return {
    before,
    set: { expiredAt: timestamp(nowMs) },
    // Nobody may have isolated it meanwhile.
    equal: { status: before.status, generation: before.generation },
    records: [{ action: "expire", before: before.status, after: "EXPIRED", justification }],
  };
}
