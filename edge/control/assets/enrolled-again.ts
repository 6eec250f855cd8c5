import type { AttributeMap } from "../../../shared/table/dynamo.ts";
import { type AssetItem, assetItem } from "../../../shared/table/items/asset/asset.ts";
import { hardwareItem } from "../../../shared/table/items/asset/hardware.ts";
import { decodeItem } from "../../../shared/table/items/decode.ts";
import { assetKey, hardwareKey, type Key } from "../../../shared/table/keys.ts";

/**
 * The asset that this machine reports as since it enrolled again: a proposal for an administrator, who merges the two.
 * Undefined for an asset that reported since, or that is isolated or revoked: the fingerprint of an enrolment is a claim,
 * and anyone with a token could otherwise hide a host.
 */
export async function enrolledAgainAs(
  asset: AssetItem,
  lastSeenAt: string | undefined,
  get: (key: Key) => Promise<AttributeMap | undefined>,
): Promise<string | undefined> {
  const { tenantId, assetId, hardware, status, wish, revokedAt } = asset;
  if (hardware?.strength !== "board" || status !== "ACTIVE" || revokedAt !== undefined) return undefined;
  const isReleased = wish === undefined || asset.proof?.generation === wish.generation;
  if (!isReleased) return undefined;
  const index = await get(hardwareKey(tenantId, hardware.id));
  const newest = index && decodeItem(hardwareItem, index).assets[0];
  if (newest === undefined || newest === assetId) return undefined;
  // The index is not signed: what counts is what the newer asset said when it enrolled.
  const stored = await get(assetKey(tenantId, newest));
  const newer = stored && decodeItem(assetItem, stored);
  if (newer?.hardware?.id !== hardware.id || newer.revokedAt !== undefined) return undefined;
  return newer.enrolledAt > (lastSeenAt ?? asset.enrolledAt) ? newest : undefined;
}
