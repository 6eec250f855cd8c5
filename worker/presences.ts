import { type Dynamo, marshalItem } from "../shared/table/dynamo.ts";
import { decodeItem, type PresenceItem, presenceItem } from "../shared/table/items.ts";
import { presenceKey } from "../shared/table/keys.ts";

/** What this worker last knew of each asset. The table is the truth: a doubt is read again. */
export type Presences = {
  load(tenantId: string, assetId: string): Promise<PresenceItem | undefined>;
  /** Reads past the cache: before acting on a change another worker may have written already. */
  reload(tenantId: string, assetId: string): Promise<PresenceItem | undefined>;
  keep(presence: PresenceItem): void;
  forget(tenantId: string, assetId: string): void;
};

const KEPT_MAX = 200_000;

export function createPresences(dynamo: Dynamo, table: string): Presences {
  const kept = new Map<string, PresenceItem>();
  const name = (tenantId: string, assetId: string) => `${tenantId} ${assetId}`;

  async function reload(tenantId: string, assetId: string): Promise<PresenceItem | undefined> {
    const Key = marshalItem(presenceKey(tenantId, assetId));
    const { Item } = await dynamo("GetItem", { TableName: table, Key, ConsistentRead: true });
    if (!Item) return undefined;
    const presence = decodeItem(presenceItem, Item);
    keep(presence);
    return presence;
  }

  function keep(presence: PresenceItem): void {
    const id = name(presence.tenantId, presence.assetId);
    if (kept.size >= KEPT_MAX && !kept.has(id)) kept.delete(kept.keys().next().value!);
    kept.set(id, presence);
  }

  return {
    load: async (tenantId, assetId) => kept.get(name(tenantId, assetId)) ?? (await reload(tenantId, assetId)),
    reload,
    keep,
    forget: (tenantId, assetId) => void kept.delete(name(tenantId, assetId)),
  };
}
