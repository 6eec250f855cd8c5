import { assetItem } from "../../shared/table/items/asset/asset.ts";
import type { PresenceItem } from "../../shared/table/items/asset/presence.ts";
import { decodeItem } from "../../shared/table/items/decode.ts";
import { assetKey } from "../../shared/table/keys.ts";
import type { PlatformDeps } from "../platform/deps.ts";

/**
 * The isolated host that was previously enrolled from the same mainboard, at the time of this asset's first
 * heartbeat. Only agents that report a run id send a fingerprint, so nothing is read for other agents.
 */
export async function readIsolatedBefore(
  { tenantId, assetId }: { tenantId: string; assetId: string },
  { run }: { run: string | undefined },
  { authority }: Pick<PlatformDeps, "authority">,
): Promise<PresenceItem["isolatedBefore"]> {
  if (run === undefined) return undefined;
  const stored = await authority.read(assetKey(tenantId, assetId));
  const { enrolledBefore = [] } = stored ? decodeItem(assetItem, stored) : {};
  if (enrolledBefore.length === 0) return undefined;
  const earlier = await authority.readMany(enrolledBefore.map((id) => assetKey(tenantId, id)));
  for (const item of earlier) {
    // An asset with an invalid signature is skipped. The signature audit reports it.
    if (!item || item instanceof Error) continue;
    const asset = decodeItem(assetItem, item);
    if (asset.status === "ISOLATED") return { assetId: asset.assetId, hostname: asset.hostname };
  }
  return undefined;
}
