import { identityConflictOf } from "../../../shared/fleet/identity-use.ts";
import { marshalItem } from "../../../shared/table/dynamo.ts";
import type { AssetItem } from "../../../shared/table/items/asset/asset.ts";
import { type PresenceItem, presenceItem } from "../../../shared/table/items/asset/presence.ts";
import { decodeItem } from "../../../shared/table/items/decode.ts";
import { presenceKey } from "../../../shared/table/keys.ts";
import { timestamp } from "../../../shared/time/clock.ts";
import { type Refusal, refuse } from "../../../shared/verdict.ts";
import type { ControlDeps } from "../deps.ts";

/** Host names of the machines that share one identity. Empty if only one machine uses the identity. */
export function sharingHosts(
  presence: Pick<PresenceItem, "identity" | "intervalMs"> | undefined,
  nowMs: number,
): string[] {
  if (!presence) return [];
  const scene = identityConflictOf(presence.identity, {
    at: timestamp(nowMs),
    intervalMs: presence.intervalMs,
  });
  return scene?.machines.map(({ hostname }) => hostname) ?? [];
}

/**
 * Refuses a directive with `admin.copies` if several machines share the identity, because each of them would
 * apply the directive.
 */
export async function refuseCopies(
  { tenantId, assetId }: Pick<AssetItem, "tenantId" | "assetId">,
  nowMs: number,
  { dynamo, table }: Pick<ControlDeps, "dynamo" | "table">,
): Promise<Refusal | undefined> {
  const Key = marshalItem(presenceKey(tenantId, assetId));
  const { Item } = await dynamo("GetItem", { TableName: table, Key, ConsistentRead: true });
  const hosts = sharingHosts(Item && decodeItem(presenceItem, Item), nowMs);
  if (hosts.length === 0) return undefined;
  const named = hosts.slice(0, 3).join(", ");
  return refuse(
    "admin.copies",
    `${hosts.length} machines share this identity (${named}), and each would apply the directive. Revoke the asset and enrol each machine again, or set everyCopy to change all`,
  );
}
