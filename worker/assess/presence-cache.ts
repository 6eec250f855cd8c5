import { type AttributeMap, type Dynamo, marshalItem } from "../../shared/table/dynamo.ts";
import type { BaselineItem } from "../../shared/table/items/asset/baseline.ts";
import { type PresenceItem, presenceItem } from "../../shared/table/items/asset/presence.ts";
import { decodeItem } from "../../shared/table/items/decode.ts";
import { presenceKey } from "../../shared/table/keys.ts";
import { createBatch } from "../platform/batch-requests.ts";
import { BusyFault } from "../platform/passing-fault.ts";

/** What this worker last knew of an asset, and of what it did there. */
export type Known = {
  presence: PresenceItem;
  /** Raw hash of a heartbeat whose state is the one in presence, and the policy it was judged under. */
  raw?: bigint | undefined;
  policyKey?: string;
  /** Older states that were taken in here, by key, with the lowest sequence; so that a redelivery is cheap. */
  done: Map<string, { sequence: number; isLearnt: boolean }>;
  /** The asset's baseline, as of that revision of presence, with which alone it is written. */
  baseline?: { revision: number; item: BaselineItem | undefined };
};

/** The table is the truth. */
export type Presences = {
  /** As remembered. */
  peek(tenantId: string, assetId: string): Known | undefined;
  /** As the table has it. */
  load(tenantId: string, assetId: string): Promise<Known | undefined>;
  keep(presence: PresenceItem, raw?: bigint, policyKey?: string): void;
  forget(tenantId: string, assetId: string): void;
};

const KEPT_MAX = 200_000;
/** BatchGetItem takes 100 keys a call. */
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

export function createPresences(
  dynamo: Dynamo,
  table: string,
  pause: (round: number) => Promise<void>,
): Presences {
  const kept = new Map<string, Known>();
  const name = (tenantId: string, assetId: string) => `${tenantId} ${assetId}`;

  /** One request. An item that does not parse is a fault of its asset alone. */
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

  /** A key that DynamoDB had no capacity for is asked for again, within a budget; the others of its request go on. */
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
    throw new BusyFault(`Could not read the presence of ${assetId}: DynamoDB is too busy`);
  }

  function keep(presence: PresenceItem, raw?: bigint, policyKey?: string): void {
    const id = name(presence.tenantId, presence.assetId);
    const before = kept.get(id);
    const isSameState = before?.presence.stateHash === presence.stateHash;
    const hash = raw ?? (isSameState ? before?.raw : undefined);
    const key = policyKey ?? (isSameState ? before?.policyKey : undefined);
    const done = before?.done ?? new Map();
    while (done.size > DONE_MAX) done.delete(done.keys().next().value!);
    if (!before && kept.size >= KEPT_MAX) kept.delete(kept.keys().next().value!);
    // With the next revision the baseline may be another; a revision of this worker's own says which it is.
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
