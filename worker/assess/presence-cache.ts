import { evictOldest } from "../../shared/evict-oldest.ts";
import { type AttributeMap, type Dynamo, marshalItem } from "../../shared/table/dynamo.ts";
import type { BaselineItem } from "../../shared/table/items/asset/baseline.ts";
import { type PresenceItem, presenceItem } from "../../shared/table/items/asset/presence.ts";
import { decodeItem } from "../../shared/table/items/decode.ts";
import { presenceKey } from "../../shared/table/keys.ts";
import { createBatch } from "../platform/batch-requests.ts";
import { BusyFault } from "../platform/transient-error.ts";

/** Information about an asset in the cache of this worker. */
export type Known = {
  presence: PresenceItem;
  /**
   * Hash of the state text of a heartbeat with the same state as presence. `policyKey` identifies the policy
   * that assessed this state.
   */
  raw?: bigint | undefined;
  policyKey?: string;
  /**
   * Late states that this worker recorded, by key, each with its lowest sequence. They save work when a
   * heartbeat is delivered again.
   */
  done: Map<string, { sequence: number; isLearnt: boolean }>;
  /**
   * The baseline of the asset. It is valid for this revision of presence, because presence and baseline are
   * written in one transaction.
   */
  baseline?: { revision: number; item: BaselineItem | undefined };
};

/** Cache of presence items. The table is authoritative. */
export type PresenceCache = {
  /** Returns the cached entry. Undefined if the asset is not cached. */
  peek(tenantId: string, assetId: string): Known | undefined;
  /** Reads presence from the table with a strongly consistent read, and updates the cache. */
  load(tenantId: string, assetId: string): Promise<Known | undefined>;
  keep(presence: PresenceItem, raw?: bigint, policyKey?: string): void;
  forget(tenantId: string, assetId: string): void;
};

const KEPT_MAX = 200_000;
/** BatchGetItem accepts 100 keys per request (AWS API reference). */
const BATCH_GET_MAX = 100;
const ROUNDS_MAX = 6;
const DONE_MAX = 64;

const UNPROCESSED = Symbol("unprocessed");

function presenceOrFault(stored: AttributeMap): PresenceItem | Error {
  try {
    return decodeItem(presenceItem, stored);
  } catch (fault) {
    return fault as Error;
  }
}

export function createPresenceCache(
  dynamo: Dynamo,
  table: string,
  pause: (round: number) => Promise<void>,
): PresenceCache {
  const kept = new Map<string, Known>();
  const name = (tenantId: string, assetId: string) => `${tenantId} ${assetId}`;

  /** Sends one BatchGetItem request. An item that cannot be parsed causes an error for its own asset only. */
  async function readOnce(ids: readonly { tenantId: string; assetId: string }[]) {
    const found = new Map<string, PresenceItem | Error | typeof UNPROCESSED>();
    const keyed = ids.map(({ tenantId, assetId }) => presenceKey(tenantId, assetId));
    const wanted = new Map(keyed.map((key) => [`${key.PK} ${key.SK}`, marshalItem(key)]));
    const RequestItems = { [table]: { Keys: [...wanted.values()], ConsistentRead: true } };
    const answer = await dynamo("BatchGetItem", { RequestItems });
    for (const stored of answer.Responses?.[table] ?? [])
      found.set(`${stored.PK?.S} ${stored.SK?.S}`, presenceOrFault(stored));
    for (const { PK, SK } of (answer.UnprocessedKeys?.[table]?.Keys ?? []) as AttributeMap[])
      found.set(`${PK?.S} ${SK?.S}`, UNPROCESSED);
    return keyed.map(({ PK, SK }) => found.get(`${PK} ${SK}`));
  }
  const read = createBatch(BATCH_GET_MAX, readOnce);

  /** Reads presence. A key that DynamoDB returned as unprocessed is retried, up to {@link ROUNDS_MAX} times. */
  async function load(tenantId: string, assetId: string): Promise<Known | undefined> {
    for (let round = 0; round < ROUNDS_MAX; round++) {
      if (round > 0) await pause(round);
      const presence = await read({ tenantId, assetId });
      if (presence === UNPROCESSED) continue;
      if (presence instanceof Error) throw presence;
      if (!presence) return undefined;
      keep(presence);
      return kept.get(name(tenantId, assetId));
    }
    throw new BusyFault(
      `Could not read the presence of ${assetId}: DynamoDB returned the key as unprocessed ${ROUNDS_MAX} times.`,
    );
  }

  function keep(presence: PresenceItem, raw?: bigint, policyKey?: string): void {
    const id = name(presence.tenantId, presence.assetId);
    const before = kept.get(id);
    const isSameState = before?.presence.stateHash === presence.stateHash;
    const hash = raw ?? (isSameState ? before?.raw : undefined);
    const key = policyKey ?? (isSameState ? before?.policyKey : undefined);
    const done = before?.done ?? new Map();
    evictOldest(done, DONE_MAX + 1);
    if (!before) evictOldest(kept, KEPT_MAX);
    // A new revision that was read from the table can belong to a different baseline. After its own write,
    // the worker sets the baseline itself.
    const baseline = before?.baseline?.revision === presence.revision ? before?.baseline : undefined;
    kept.set(id, {
      presence,
      done,
      raw: hash,
      ...(key !== undefined && { policyKey: key }),
      ...(baseline && { baseline }),
    });
  }

  return {
    peek: (tenantId, assetId) => kept.get(name(tenantId, assetId)),
    load,
    keep,
    forget: (tenantId, assetId) => void kept.delete(name(tenantId, assetId)),
  };
}
