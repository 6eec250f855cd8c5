import type { Clock } from "../shared/clock.ts";
import { isReleasedOffline } from "../shared/containment.ts";
import type { Log } from "../shared/log.ts";
import { type Dynamo, values } from "../shared/table/dynamo.ts";
import { assetItem, decodeItem } from "../shared/table/items.ts";
import { actionRequired, GSI2 } from "../shared/table/keys.ts";
import type { Instruments } from "./instruments.ts";

/** What stands against an asset: a directive it may not have obeyed yet, or its revocation. */
export type OpenAction = {
  generation: number;
  directive?: string;
  expiresAtMs: number;
  revoked: boolean;
  /** Freed at the host with a release code, and the custody log does not say so yet. */
  isFreedUnrecorded?: true;
};

/** Assets of a tenant with an open action, by id. */
export type OpenActions = {
  of(tenantId: string): Promise<ReadonlyMap<string, OpenAction>>;
  /** The next `of` asks the table again: after a change made on this very node. */
  forget(tenantId: string): void;
};

const REFRESH_MS = 2000;
const TENANTS_MAX = 10_000;
const NOTHING: ReadonlyMap<string, OpenAction> = new Map();

type Kept = {
  set: ReadonlyMap<string, OpenAction>;
  readAtMs: number;
  refreshing?: Promise<ReadonlyMap<string, OpenAction>> | undefined;
};

/**
 * One GSI2 query per tenant and 2 s, none per heartbeat. A set older than that still serves while the next one
 * is read, and goes on serving when the table is away: ingest does not stop for it.
 *
 * @param shared false on workerd, where a request may not await another one's I/O: it refreshes for itself.
 */
export function createOpenActions(deps: {
  dynamo: Dynamo;
  table: string;
  clock: Clock;
  log: Log;
  instruments: Pick<Instruments, "stale">;
  shared: boolean;
}): OpenActions {
  const kept = new Map<string, Kept>();

  async function refresh(tenantId: string, entry: Kept): Promise<ReadonlyMap<string, OpenAction>> {
    try {
      entry.set = await queryOpenActions(deps.dynamo, deps.table, tenantId);
    } catch (error) {
      deps.instruments.stale(deps.clock() - entry.readAtMs);
      deps.log("warn", "open-actions.stale", { tenantId, ageMs: deps.clock() - entry.readAtMs, error });
    }
    entry.readAtMs = deps.clock();
    entry.refreshing = undefined;
    return entry.set;
  }

  return {
    async of(tenantId) {
      let entry = kept.get(tenantId);
      if (!entry) {
        if (kept.size >= TENANTS_MAX) kept.delete(kept.keys().next().value!);
        entry = { set: NOTHING, readAtMs: Number.NEGATIVE_INFINITY };
        kept.set(tenantId, entry);
      }
      if (deps.clock() - entry.readAtMs < REFRESH_MS) return entry.set;
      if (!deps.shared) return await refresh(tenantId, entry);
      entry.refreshing ??= refresh(tenantId, entry);
      return entry.readAtMs === Number.NEGATIVE_INFINITY ? await entry.refreshing : entry.set;
    },
    forget(tenantId) {
      const entry = kept.get(tenantId);
      if (entry) entry.readAtMs = Number.NEGATIVE_INFINITY;
    },
  };
}

async function queryOpenActions(dynamo: Dynamo, table: string, tenantId: string) {
  const set = new Map<string, OpenAction>();
  let from: Record<string, never> | undefined;
  do {
    const page = await dynamo("Query", {
      TableName: table,
      IndexName: GSI2,
      KeyConditionExpression: "GSI2PK = :tenant",
      ExpressionAttributeValues: values({ tenant: actionRequired(tenantId) }),
      ...(from && { ExclusiveStartKey: from }),
    });
    for (const stored of page.Items ?? []) {
      const asset = decodeItem(assetItem, stored);
      set.set(asset.assetId, {
        generation: asset.wish?.generation ?? 0,
        ...(asset.wish && { directive: asset.wish.directive }),
        expiresAtMs: asset.wish ? Date.parse(asset.wish.expiresAt) : 0,
        revoked: asset.revokedAt !== undefined,
        ...(isReleasedOffline(asset) &&
          asset.offlineReleaseOf !== asset.generation && { isFreedUnrecorded: true as const }),
      });
    }
    from = page.LastEvaluatedKey as typeof from;
  } while (from);
  return set;
}
