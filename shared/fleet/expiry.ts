import { containmentOf } from "../containment/containment-state.ts";
import type { AssetItem } from "../table/items/asset/asset.ts";
import { timestamp } from "../time/clock.ts";
import { DAY_MS } from "../time/durations.ts";

/**
 * Reasons why a host is not on the active list.
 *
 * - `silent`: its last heartbeat is older than `assetExpiryDays` of the tenant.
 * - `never-reported`: it enrolled longer ago than `assetExpiryDays` and has never sent a heartbeat.
 * - `removed`: an administrator removed it from the list, and it has not reported since.
 * - `superseded`: an administrator merged it into another asset.
 */
export const EXPIRY_REASONS = ["silent", "never-reported", "removed", "superseded"] as const;
export type ExpiryReason = (typeof EXPIRY_REASONS)[number];

/** Reason and start of a host's absence from the active list. */
export type Expiry = { reason: ExpiryReason; since: string };

export type ExpiringAsset = Pick<
  AssetItem,
  "status" | "generation" | "enrolledAt" | "wish" | "proof" | "setBack" | "unsignedReport"
> &
  Pick<AssetItem, "revokedAt" | "expiredAt" | "supersededBy">;

/**
 * Reason why a host has left the active list. Undefined while it is on the list. It is computed from the
 * stored items. A host therefore returns with its next heartbeat, without a write or a deletion.
 *
 * A host that is isolated, or whose release is not proven, never expires, because an administrator must
 * handle it.
 *
 * @param expiryDays setting `assetExpiryDays` of the tenant. 0 disables the expiry of silent hosts.
 */
export function expiryOf(
  asset: ExpiringAsset,
  presence: { lastSeenAt: string } | undefined,
  expiryDays: number,
  nowMs: number,
): Expiry | undefined {
  if (isContained(asset, nowMs)) return undefined;
  const { enrolledAt, expiredAt, supersededBy, revokedAt } = asset;
  if (supersededBy !== undefined) return { reason: "superseded", since: revokedAt ?? enrolledAt };
  const lastSeenAt = presence?.lastSeenAt;
  if (expiredAt !== undefined && (lastSeenAt === undefined || lastSeenAt <= expiredAt))
    return { reason: "removed", since: expiredAt };
  if (expiryDays === 0) return undefined;
  const sinceMs = Date.parse(lastSeenAt ?? enrolledAt) + expiryDays * DAY_MS;
  if (nowMs < sinceMs) return undefined;
  return {
    reason: lastSeenAt === undefined ? "never-reported" : "silent",
    since: timestamp(sinceMs),
  };
}

/**
 * True if an administrator removed the asset from the active list. The removal only counts if it is signed
 * with the control key.
 */
export const isTakenOff = ({
  expiredAt,
  supersededBy,
}: Pick<AssetItem, "expiredAt" | "supersededBy">): boolean =>
  expiredAt !== undefined || supersededBy !== undefined;

/** True if the host is isolated, or released without a proof. */
export const isContained = (asset: Omit<ExpiringAsset, "enrolledAt">, nowMs: number): boolean =>
  asset.status === "ISOLATED" || containmentOf(asset, undefined, nowMs).state !== "active";
