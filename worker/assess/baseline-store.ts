import { evictOldest } from "../../shared/evict-oldest.ts";
import { isConditionFailed, marshalItem, unmarshalItem, values } from "../../shared/table/dynamo.ts";
import {
  type BaselineItem,
  baselineItem,
  tenantFeatureItem,
} from "../../shared/table/items/asset/baseline.ts";
import { decodeItem } from "../../shared/table/items/decode.ts";
import type { TenantItem } from "../../shared/table/items/tenant.ts";
import { baselineKey, tenantFeatureKey } from "../../shared/table/keys.ts";
import type { PlatformDeps } from "../platform/deps.ts";
import { MEMORY_DAYS, TENANT_FEATURE, type TenantBaseline, withDay } from "./baseline.ts";

/** Reads and updates baselines. The worker calls it only when the state of a host changes. */
export type BaselineStore = {
  asset(tenant: TenantItem, assetId: string): Promise<BaselineItem | undefined>;
  /** Days on which the tenant saw each feature, and days on which it sent any heartbeat ({@link TENANT_FEATURE}). */
  tenant(tenantId: string, features: readonly string[], today: number): Promise<TenantBaseline>;
  /** Adds a day to the tenant's baseline. Writes each feature once a day. */
  add(tenantId: string, features: readonly string[], day: number): Promise<void>;
};

const KEPT_MAX = 20_000;
const DAY_SECONDS = 24 * 3600;

export function createBaselineStore(deps: Pick<PlatformDeps, "dynamo" | "table">): BaselineStore {
  const { dynamo, table } = deps;
  // The cache does not contain days that other workers add today. This has no effect, because only days
  // before today count and the cache is refreshed every day.
  const kept = new Map<string, { days: number[]; readOn: number }>();
  // Requests in progress, by feature. They deduplicate concurrent calls: when a fleet starts, many heartbeats
  // show the same feature, but only one of them reads and writes it.
  const underWay = new Map<string, Promise<unknown>>();
  const idOf = (tenantId: string, feature: string) => `${tenantId} ${feature}`;

  async function read(tenantId: string, feature: string): Promise<number[]> {
    const Key = marshalItem(tenantFeatureKey(tenantId, feature));
    const { Item } = await dynamo("GetItem", { TableName: table, Key });
    if (!Item) return [];
    decodeItem(tenantFeatureItem, Item);
    return Object.keys(unmarshalItem(Item))
      .filter((name) => /^d\d+$/.test(name))
      .map((name) => Number(name.slice(1)))
      .sort((a, b) => a - b);
  }

  async function once<T>(name: string, work: () => Promise<T>): Promise<T> {
    const before = underWay.get(name) as Promise<T> | undefined;
    if (before) return before;
    const mine = work().finally(() => underWay.delete(name));
    underWay.set(name, mine);
    return mine;
  }

  async function daysOf(tenantId: string, feature: string, today: number): Promise<number[]> {
    const id = idOf(tenantId, feature);
    const known = kept.get(id);
    if (known && known.readOn >= today) return known.days;
    return once(`read ${today} ${id}`, async () => {
      const days = await read(tenantId, feature);
      evictOldest(kept, KEPT_MAX);
      kept.set(id, { days, readOn: today });
      return days;
    });
  }

  async function addOne(tenantId: string, feature: string, day: number): Promise<void> {
    const days = await daysOf(tenantId, feature, day);
    if (days.includes(day)) return;
    const id = idOf(tenantId, feature);
    await once(`add ${day} ${id}`, async () => {
      await addDay(deps, tenantId, feature, day);
      kept.set(id, { days: withDay(days, day), readOn: day });
    });
  }

  return {
    async asset({ tenantId, shards }, assetId) {
      const Key = marshalItem(baselineKey(tenantId, assetId, shards));
      const { Item } = await dynamo("GetItem", { TableName: table, Key, ConsistentRead: true });
      return Item && decodeItem(baselineItem, Item);
    },

    async tenant(tenantId, features, today) {
      const names = [TENANT_FEATURE, ...features];
      const days = await Promise.all(names.map((name) => daysOf(tenantId, name, today)));
      return new Map(names.map((name, index) => [name, days[index]!]));
    },

    async add(tenantId, features, day) {
      await Promise.all([TENANT_FEATURE, ...features].map((feature) => addOne(tenantId, feature, day)));
    },
  };
}

/**
 * Adds a day to a feature. The day is an attribute name, so adding it twice has no effect. Also removes the
 * day that is older than the retention.
 */
async function addDay(
  { dynamo, table }: Pick<PlatformDeps, "dynamo" | "table">,
  tenantId: string,
  feature: string,
  day: number,
): Promise<void> {
  const base = { TableName: table, Key: marshalItem(tenantFeatureKey(tenantId, feature)) };
  const seen = { seen: 1 };
  try {
    await dynamo("UpdateItem", {
      ...base,
      UpdateExpression: `SET #type = :type, tenantId = :tenantId, feature = :feature, expiresAt = :expiresAt, d${day} = :seen REMOVE d${day - MEMORY_DAYS - 1}`,
      ConditionExpression: "attribute_not_exists(PK) OR expiresAt <= :expiresAt",
      ExpressionAttributeNames: { "#type": "type" },
      ExpressionAttributeValues: values({
        ...seen,
        type: "TenantFeature",
        tenantId,
        feature,
        expiresAt: (day + 2 * MEMORY_DAYS) * DAY_SECONDS,
      }),
    });
  } catch (error) {
    if (!isConditionFailed(error)) throw error;
    // The condition fails if the item already has a later day, which has a later expiry. Keep that expiry.
    const UpdateExpression = `SET d${day} = :seen`;
    await dynamo("UpdateItem", { ...base, UpdateExpression, ExpressionAttributeValues: values(seen) });
  }
}
