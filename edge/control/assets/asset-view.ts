import type { CheckedAsset } from "../../../shared/authority/check-reports.ts";
import { type Containment, containmentOf } from "../../../shared/containment/containment-state.ts";
import { type Expiry, expiryOf } from "../../../shared/fleet/expiry.ts";
import type { AssetItem } from "../../../shared/table/items/asset/asset.ts";
import type { PresenceItem } from "../../../shared/table/items/asset/presence.ts";
import type { StopEnginesBy } from "../../../shared/wire/heartbeat.ts";

/** An asset as the API and the dashboard show it, without its device key and directive. */
export type AssetView = Pick<
  AssetItem,
  | "assetId"
  | "hostname"
  | "employeeId"
  | "os"
  | "arch"
  | "status"
  | "generation"
  | "enrolledAt"
  | "revokedAt"
  | "keyRotatedAt"
  | "supersededBy"
  | "supersedes"
  | "enrolledBefore"
> & {
  /** Newer asset with which the same machine now reports. Only set when a single asset is read. */
  enrolledAgainAs?: string;
  /** Whether the asset is on the active list. For an expired asset, also the reason and the time of expiry. */
  lifecycle: { state: "active" | "expired" } & Partial<Expiry>;
  containment: Containment & {
    mode?: string;
    stopEnginesBy?: StopEnginesBy;
    requestedAt?: string;
    expiresAt?: string;
    proof?: AssetItem["proof"];
  };
  presence?: Omit<PresenceItem, "type" | "tenantId" | "assetId" | "stateHash">;
};

/**
 * Builds the view of an asset.
 *
 * @param asset result of `checkAssets`, which contains only reports that the device signed
 * @param expiryDays setting `assetExpiryDays` of the tenant
 */
export function viewOf(
  asset: CheckedAsset,
  presence: PresenceItem | undefined,
  nowMs: number,
  expiryDays = 0,
): AssetView {
  const { assetId, hostname, employeeId, os, arch, status, generation, enrolledAt, wish, proof } = asset;
  const containment = {
    ...containmentOf(asset, presence, nowMs),
    ...(wish && { mode: wish.mode, requestedAt: wish.requestedAt, expiresAt: wish.expiresAt }),
    ...(wish?.stopEnginesBy && { stopEnginesBy: wish.stopEnginesBy }),
    ...(proof && { proof }),
  };
  const { revokedAt, keyRotatedAt, supersededBy, supersedes, enrolledBefore } = asset;
  const expiry = expiryOf(asset, presence, expiryDays, nowMs);
  const view = {
    assetId,
    hostname,
    employeeId,
    os,
    arch,
    status,
    generation,
    enrolledAt,
    ...(revokedAt !== undefined && { revokedAt }),
    ...(keyRotatedAt !== undefined && { keyRotatedAt }),
    ...(supersededBy !== undefined && { supersededBy }),
    ...(supersedes && { supersedes }),
    ...(enrolledBefore && { enrolledBefore }),
    lifecycle: expiry ? { state: "expired" as const, ...expiry } : { state: "active" as const },
    containment,
  };
  if (!presence) return view;
  const { type: _type, tenantId: _tenant, assetId: _asset, stateHash: _hash, ...shown } = presence;
  return { ...view, presence: shown };
}
