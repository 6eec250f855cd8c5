import type { Authority } from "../../shared/authority/read-authority.ts";
import { unrecordedRelease } from "../../shared/containment/containment-state.ts";
import { canonicalJson } from "../../shared/encoding/canonical-json.ts";
import type { Log } from "../../shared/observability/log.ts";
import { type AttributeMap, type Dynamo, values } from "../../shared/table/dynamo.ts";
import { assetItem } from "../../shared/table/items/asset/asset.ts";
import { decodeItem } from "../../shared/table/items/decode.ts";
import { actionRequired, assetKey, GSI2 } from "../../shared/table/keys.ts";
import { type Clock, isRecent } from "../../shared/time/clock.ts";
import type { Instruments } from "../platform/telemetry.ts";

/** What stands against an asset: a directive it may not have obeyed yet, or its revocation. */
export type OpenAction = {
  generation: number;
  directive?: string;
  expiresAtMs: number;
  revoked: boolean;
  /** Freed at the host with a release code, and the custody log does not say so yet. */
  isFreedUnrecorded?: true;
};

export type WaitUntil = (work: Promise<unknown>) => void;

/** Assets of a tenant with an open action, by id. */
export type OpenActions = {
  /** @param waitUntil lets what the request began go on after its answer, where requests share no I/O */
  of(tenantId: string, waitUntil?: WaitUntil): Promise<ReadonlyMap<string, OpenAction>>;
  /** The next `of` asks the table again: after a change made on this very node. */
  forget(tenantId: string): void;
  /** An action just written on this very node: in the set at once, although the index may not show it yet. */
  learn(tenantId: string, assetId: string, action: OpenAction): void;
  /** Tells of this asset's action as often as the set is read or taught, which goes on while anybody watches. */
  watch(tenantId: string, assetId: string, told: (action: OpenAction) => void): () => void;
};

const REFRESH_MS = 2000;
const TENANTS_MAX = 10_000;
/** Where requests share no I/O, those that come during the first read look this often, and this long, for its end. */
const LOOK_MS = 20;
const FIRST_READ_MS_MAX = 2000;
/** The index follows the table within a moment. A change it does not show by then was overtaken by another. */
const LEARNT_MS = 10_000;

type Told = (action: OpenAction) => void;
type Kept = {
  set: ReadonlyMap<string, OpenAction>;
  /** When the newest read began, whatever became of it. */
  triedAtMs: number;
  /** When the set was last read. */
  readAtMs: number;
  /** Nothing was read yet, or something was changed here since: whoever asks next waits for the read. */
  isWaitedFor: boolean;
  /** Grows with every change made here: a read that began before one does not count as fresh. */
  changes: number;
  learnt: Map<string, { action: OpenAction; atMs: number }>;
  watchers: Map<string, Set<Told>>;
  isTicking: boolean;
  /** Actions whose asset was checked against its signature, by {@link actionName}. */
  checked: Map<string, Checked>;
  refreshing?: Promise<ReadonlyMap<string, OpenAction>> | undefined;
};

export type OpenActionsDeps = {
  dynamo: Dynamo;
  table: string;
  authority: Pick<Authority, "readMany" | "checkReports">;
  clock: Clock;
  log: Log;
  instruments: Pick<Instruments, "actionSetAge">;
  /** False on workerd, where a request may not await another one's I/O: one refreshes, after its own answer. */
  shared: boolean;
  after: (ms: number, then: () => void) => void;
};

/**
 * One GSI2 query per tenant and 2 s, none per heartbeat. A set older than that still serves while the next one
 * is read, and goes on serving when the table is away: ingest does not stop for it. The first read is waited for,
 * where requests share no I/O for {@link FIRST_READ_MS_MAX} at most.
 */
export function createOpenActions(deps: OpenActionsDeps): OpenActions {
  const kept = new Map<string, Kept>();

  function keptOf(tenantId: string): Kept {
    let entry = kept.get(tenantId);
    if (entry) return entry;
    if (kept.size >= TENANTS_MAX) forgetOne(kept);
    entry = {
      set: new Map(),
      triedAtMs: Number.NEGATIVE_INFINITY,
      readAtMs: Number.NEGATIVE_INFINITY,
      isWaitedFor: true,
      changes: 0,
      learnt: new Map(),
      watchers: new Map(),
      isTicking: false,
      checked: new Map(),
    };
    kept.set(tenantId, entry);
    return entry;
  }

  async function refresh(tenantId: string, entry: Kept): Promise<ReadonlyMap<string, OpenAction>> {
    const readBeforeMs = entry.readAtMs;
    let changes = entry.changes;
    entry.triedAtMs = deps.clock(); // before the read: those who come while it lasts begin none of their own
    try {
      let read = await signedOpenActions(deps, tenantId, entry);
      if (changes !== entry.changes) {
        changes = entry.changes;
        read = await signedOpenActions(deps, tenantId, entry);
      }
      entry.set = withLearnt(read, entry.learnt, deps.clock());
      entry.readAtMs = deps.clock();
    } catch (error) {
      const age = Number.isFinite(readBeforeMs) && { ageMs: deps.clock() - readBeforeMs };
      deps.log("warn", "open-actions.stale", { tenantId, ...age, error });
    }
    if (Number.isFinite(readBeforeMs)) deps.instruments.actionSetAge(deps.clock() - readBeforeMs);
    entry.isWaitedFor = changes !== entry.changes;
    entry.refreshing = undefined;
    tell(entry);
    return entry.set;
  }

  /** Each request of its own: one reads, after its answer where it can; no other waits for what that one began. */
  async function ofUnshared(tenantId: string, entry: Kept, waitUntil: WaitUntil | undefined): Promise<void> {
    if (isRecent(entry.triedAtMs, deps.clock(), REFRESH_MS)) {
      const untilMs = deps.clock() + FIRST_READ_MS_MAX;
      while (entry.isWaitedFor && deps.clock() < untilMs) await pause(LOOK_MS);
      return;
    }
    const reading = refresh(tenantId, entry);
    waitUntil?.(reading);
    if (entry.isWaitedFor) await Promise.race([reading, pause(FIRST_READ_MS_MAX)]);
    else if (!waitUntil) await reading;
  }

  const pause = (ms: number) => new Promise<void>((resolve) => deps.after(ms, resolve));

  /** Heartbeats read the set as they come; where there are none between two polls, this does. */
  function tick(tenantId: string, entry: Kept): void {
    if (entry.isTicking) return;
    entry.isTicking = true;
    deps.after(REFRESH_MS, () => {
      entry.isTicking = false;
      if (entry.watchers.size === 0) return;
      tick(tenantId, entry);
      if (!isRecent(entry.triedAtMs, deps.clock(), REFRESH_MS / 2))
        entry.refreshing ??= refresh(tenantId, entry);
    });
  }

  return {
    async of(tenantId, waitUntil) {
      const entry = keptOf(tenantId);
      if (!entry.isWaitedFor && isRecent(entry.triedAtMs, deps.clock(), REFRESH_MS)) return entry.set;
      if (deps.shared) {
        entry.refreshing ??= refresh(tenantId, entry);
        if (entry.isWaitedFor) await entry.refreshing;
      } else await ofUnshared(tenantId, entry, waitUntil);
      return entry.set;
    },
    forget(tenantId) {
      const entry = kept.get(tenantId);
      if (!entry) return;
      entry.changes++;
      entry.triedAtMs = Number.NEGATIVE_INFINITY;
      entry.isWaitedFor = true;
      if (entry.watchers.size > 0) entry.refreshing ??= refresh(tenantId, entry);
    },
    learn(tenantId, assetId, action) {
      const entry = keptOf(tenantId);
      entry.learnt.set(assetId, { action, atMs: deps.clock() });
      entry.set = withLearnt(new Map(entry.set), entry.learnt, deps.clock());
      tell(entry);
    },
    watch(tenantId, assetId, told) {
      const entry = keptOf(tenantId);
      const mine = entry.watchers.get(assetId) ?? new Set();
      entry.watchers.set(assetId, mine.add(told));
      tick(tenantId, entry);
      return () => {
        mine.delete(told);
        if (mine.size === 0 && entry.watchers.get(assetId) === mine) entry.watchers.delete(assetId);
      };
    },
  };
}

/** The one asked for longest ago, unless somebody watches it: a watched set has to stay where changes find it. */
function forgetOne(kept: Map<string, Kept>): void {
  for (const [tenantId, { watchers }] of kept) {
    if (watchers.size > 0) continue;
    kept.delete(tenantId);
    return;
  }
}

function tell({ set, watchers }: Kept): void {
  if (watchers.size === 0) return;
  for (const [assetId, action] of set) for (const told of [...(watchers.get(assetId) ?? [])]) told(action);
}

/** What was learnt stands in for what the index does not show yet. */
function withLearnt(
  read: Map<string, OpenAction>,
  learnt: Kept["learnt"],
  nowMs: number,
): Map<string, OpenAction> {
  for (const [assetId, { action, atMs }] of learnt) {
    const known = read.get(assetId);
    const isOver = !isRecent(atMs, nowMs, LEARNT_MS) || (known && known.generation > action.generation);
    if (isOver) learnt.delete(assetId);
    else if (known?.generation !== action.generation) read.set(assetId, action);
  }
  return read;
}

/** A refused action is checked again after this time, so that a repaired item counts soon. */
const REFUSED_MS = 60_000;

/** Whether the asset is what was signed; `atMs`: when that was checked. */
type Checked = { isSigned: boolean; atMs: number };

/** An action that was checked once is not checked again until something of it changes. */
const actionName = (assetId: string, { generation, revoked, expiresAtMs, directive }: OpenAction): string =>
  `${assetId} ${generation} ${revoked} ${expiresAtMs} ${directive}`;

/** Open actions of assets whose signature holds: write access to the table alone revokes and isolates no host. */
async function signedOpenActions(
  { dynamo, table, authority, clock }: OpenActionsDeps,
  tenantId: string,
  { checked }: Kept,
): Promise<Map<string, OpenAction>> {
  const read = await queryOpenActions({ dynamo, table, authority }, tenantId);
  const nowMs = clock();
  const names = new Map([...read].map(([assetId, action]) => [assetId, actionName(assetId, action)]));
  const isCurrent = ({ isSigned, atMs }: Checked) => isSigned || isRecent(atMs, nowMs, REFUSED_MS);
  const unknown = [...names].filter(([, name]) => !(checked.has(name) && isCurrent(checked.get(name)!)));
  const stored = await authority.readMany(unknown.map(([assetId]) => assetKey(tenantId, assetId)));
  for (const [index, [, name]] of unknown.entries()) {
    const item = stored[index];
    checked.set(name, { isSigned: item !== undefined && !(item instanceof Error), atMs: nowMs });
  }
  const current = new Set(names.values());
  for (const name of checked.keys()) if (!current.has(name)) checked.delete(name);
  for (const [assetId, name] of names) if (!checked.get(name)?.isSigned) read.delete(assetId);
  return read;
}

/** Reads the tenant's whole index, a page of at most 1 MB at a time. */
async function queryOpenActions(
  { dynamo, table, authority }: Pick<OpenActionsDeps, "dynamo" | "table" | "authority">,
  tenantId: string,
) {
  const set = new Map<string, OpenAction>();
  const starts = new Set<string>();
  let from: AttributeMap | undefined;
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
      // Only a report that the device signed makes a node look whether the custody log lacks its release.
      const isFreed = unrecordedRelease(asset) && unrecordedRelease(await authority.checkReports(asset));
      set.set(asset.assetId, {
        generation: asset.wish?.generation ?? 0,
        ...(asset.wish && { directive: asset.wish.directive }),
        expiresAtMs: asset.wish ? Date.parse(asset.wish.expiresAt) : 0,
        revoked: asset.revokedAt !== undefined,
        ...(isFreed && { isFreedUnrecorded: true as const }),
      });
    }
    from = page.LastEvaluatedKey;
    // A table that ignores the start key would be read for ever, and no heartbeat would see an isolation.
    const start = from && canonicalJson(from);
    if (start !== undefined && starts.has(start)) throw new Error("the index gave the same start key twice");
    if (start !== undefined) starts.add(start);
  } while (from);
  return set;
}
