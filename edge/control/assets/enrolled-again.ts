import type { AttributeMap } from "../../../shared/table/dynamo.ts";
import { type AssetItem, assetItem } from "../../../shared/table/items/asset/asset.ts";
import { hardwareItem } from "../../../shared/table/items/asset/hardware.ts";
import { decodeItem } from "../../../shared/table/items/decode.ts";
import { assetKey, hardwareKey, type Key } from "../../../shared/table/keys.ts";

/**
 * Finds the newer asset with which the same machine enrolled again, so that an administrator can merge the
 * two assets. Returns undefined if the older asset has reported since then, or is isolated or revoked. The
 * hardware fingerprint in an enrolment is not proven. Without these conditions, anyone with an enrolment
 * token could hide a host.
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
  // The hardware index is not signed, so compare its fingerprint with the fingerprint in the newer asset.
  const stored = await get(assetKey(tenantId, newest));
  const newer = stored && decodeItem(assetItem, stored);
  if (newer?.hardware?.id !== hardware.id || newer.revokedAt !== undefined) return undefined;
  return newer.enrolledAt > (lastSeenAt ?? asset.enrolledAt) ? newest : undefined;
}
