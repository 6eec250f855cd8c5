import { canonicalJson } from "../../shared/encoding/canonical-json.ts";
import { eventPut } from "../../shared/events/event-put.ts";
import { makeEvent } from "../../shared/events/make-event.ts";
import { noteRun, sceneOf, touchRun } from "../../shared/fleet/identity-use.ts";
import type { IdentityScene } from "../../shared/policy/rule.ts";
import { isConditionFailed } from "../../shared/table/dynamo.ts";
import type { BaselineItem } from "../../shared/table/items/asset/baseline.ts";
import type { InventoryItem } from "../../shared/table/items/asset/inventory.ts";
import type { IdentityUse, OpenIncident, PresenceItem } from "../../shared/table/items/asset/presence.ts";
import type { IncidentItem } from "../../shared/table/items/incident.ts";
import type { TenantItem } from "../../shared/table/items/tenant.ts";
import { baselineKey, inventoryKey } from "../../shared/table/keys.ts";
import { timestamp } from "../../shared/time/clock.ts";
import { stateText } from "../../shared/wire/state.ts";
import { judge, learn } from "../assess/assess-heartbeat.ts";
import { isTimely } from "../assess/baseline.ts";
import type { Known } from "../assess/presence-cache.ts";
import type { Delivery } from "../heartbeat/parse-heartbeat.ts";
import { hasMark, SHARED_MARK, spoolMark, stateHashOf, withoutSpool } from "../heartbeat/state-hash.ts";
import { changeItem, changePut, expiry, type Judgement, samplePut } from "../heartbeat/telemetry-items.ts";
import {
  additions,
  intervalStart,
  isNewerThan,
  type Moment,
  type Place,
  phaseOf,
  placeOf,
  repeats,
  sampleAt,
} from "../heartbeat/timeline-position.ts";
import { BusyFault } from "../platform/passing-fault.ts";
import { recordProof } from "./containment-proof.ts";
import type { RecordDeps } from "./deps.ts";
import { eventIdOf } from "./event-id.ts";
import { type Change, changeOf } from "./incident-changes.ts";
import { openRuns, readChange, readIncidents, readNamedIncidents, runsFrom } from "./incident-history.ts";
import { endOf, type Runs, runName, takeState } from "./incident-runs.ts";
import { inventoryOf } from "./inventory-item.ts";
import { readIsolatedBefore } from "./isolated-before.ts";
import { presenceOf } from "./presence-item.ts";
import {
  incidentUpdate,
  isLostRace,
  plainPut,
  presenceCheck,
  presencePut,
  type Write,
} from "./write-requests.ts";

/** Limit of attempts after optimistic-lock conflicts. */
const ROUNDS_MAX = 16;
/** DynamoDB accepts 100 writes per transaction (AWS API reference). A change of an incident may add an event. */
const CHANGES_PER_TRANSACTION_MAX = 45;

const policyKeys = new WeakMap<TenantItem, string>();

/**
 * Text that identifies a policy, independent of the order of its members. Part of the state hash, so a change
 * of the policy assesses every asset again.
 */
export function policyKeyOf(tenant: TenantItem): string {
  let key = policyKeys.get(tenant);
  if (key === undefined) {
    key = canonicalJson(tenant.policy);
    policyKeys.set(tenant, key);
  }
  return key;
}

/** True when the table already contains everything in this heartbeat, as far as this worker knows. */
export function addsNothing(
  moment: Moment & Pick<Delivery, "raw" | "waiting" | "dropped">,
  known: Known | undefined,
  tenant: TenantItem,
): boolean {
  if (known?.raw === undefined || known.raw !== moment.raw || known.policyKey !== policyKeyOf(tenant))
    return false;
  const { presence } = known;
  // Another machine has used this identity in the meantime, so the return of this one must be recorded.
  if (presence.run !== undefined && presence.run !== presence.identity?.latest) return false;
  const mark = marksOf(moment, presence.identity, presence.intervalMs, tenant);
  if (!hasMark(presence.stateHash, mark) && isNewerThan(presence, moment, tenant)) return false;
  if (!presence.isLearnt && isTimely(moment)) return false;
  if (repeats(moment, presence, tenant)) return true;
  if (placeOf(moment, presence.stateHash, presence, tenant).kind !== "same") return false;
  const { head, sample, isFirstOfState } = additions(moment, presence, tenant);
  return head === undefined && sample === undefined && !isFirstOfState;
}

/**
 * Records one heartbeat. Every change is stored, the rest is sampled:
 *
 * - a change of state: its telemetry item, the containment proof, its incidents and presence;
 * - a late state, which a newer one has replaced: its telemetry item, and the incidents recomputed from the
 *   history;
 * - the same state: a sample and presence once per resolution interval, otherwise no write.
 *
 * Keys and contents depend on the heartbeats alone, and presence is written with an optimistic lock. So
 * duplicates, late heartbeats and parallel workers result in the same table. One exception is `identity` of
 * presence: it depends on the order of delivery. Presence and incidents are the last transaction; a crash
 * before it repeats everything.
 */
export async function record(delivery: Delivery, tenant: TenantItem, deps: RecordDeps): Promise<void> {
  const { tenantId, assetId } = delivery;
  const remembered = deps.presences.peek(tenantId, assetId);
  if (addsNothing(delivery, remembered, tenant)) return;
  const hash = hashOf(delivery, remembered, tenant);
  for (let round = 0; round < ROUNDS_MAX; round++) {
    if (round > 0) await deps.pause(round);
    // Each worker sees only a part of the heartbeats of an asset. The cache may only prove that there is
    // nothing to do; decisions always use a fresh read.
    const known = await deps.presences.load(tenantId, assetId);
    const use = useOf(delivery, known);
    const stateHash = hash + marksOf(delivery, use.identity, use.intervalMs, tenant);
    const place = placeOf(delivery, stateHash, known?.presence, tenant);
    const isDone =
      place.kind === "change"
        ? await recordChange(
            delivery,
            place.key,
            { stateHash, ...use },
            { before: known?.presence, round },
            tenant,
            deps,
          )
        : place.kind === "late"
          ? await recordLate(delivery, place, { stateHash, ...use }, known!, tenant, deps)
          : await recordSame(delivery, { stateHash, ...use }, known!.presence, tenant, deps);
    if (isDone) return;
  }
  throw new BusyFault(`Could not save the presence of ${assetId}: ${ROUNDS_MAX} write conflicts in a row.`);
}

/** Use of the identity at the time of a heartbeat. */
type Use = { identity: IdentityUse | undefined; run: string | undefined; intervalMs: number };
type Seen = Use & { stateHash: string };

/**
 * Adds the run of a heartbeat to the use of the identity. Older agents report no run id; for them nothing is
 * known.
 */
function useOf(delivery: Delivery, known: Known | undefined): Use {
  const { presence } = known ?? {};
  // A heartbeat with the cached state text need not be parsed.
  const isKnown = presence !== undefined && delivery.raw !== undefined && known?.raw === delivery.raw;
  const { run, intervalMs, hostname } = isKnown ? presence : saidBy(delivery);
  if (run === undefined) return { identity: presence?.identity, run, intervalMs };
  const used = { run, hostname, at: delivery.at, intervalMs };
  return { identity: noteRun(presence?.identity, used), run, intervalMs };
}

function saidBy(delivery: Delivery): { run?: string | undefined; intervalMs: number; hostname: string } {
  const { agent, host } = delivery.heartbeat();
  return { run: agent.run, intervalMs: agent.intervalMs, hostname: host.hostname };
}

/** Suffixes of the state hash, for the spool and for a shared identity. */
function marksOf(
  moment: Moment & Pick<Delivery, "waiting" | "dropped">,
  identity: IdentityUse | undefined,
  intervalMs: number,
  { policy }: TenantItem,
): string {
  const isShared = sceneOf(identity, { at: moment.at, intervalMs }) !== undefined;
  return spoolMark(moment, policy) + (isShared ? SHARED_MARK : "");
}

function sceneFor(
  { identity, intervalMs }: Use,
  at: string,
  isolatedBefore: PresenceItem["isolatedBefore"],
): IdentityScene | undefined {
  const scene = sceneOf(identity, { at, intervalMs });
  return scene || isolatedBefore
    ? { ...(scene ?? { machines: [] }), ...(isolatedBefore && { isolatedBefore }) }
    : undefined;
}

function hashOf(delivery: Delivery, known: Known | undefined, tenant: TenantItem): string {
  const policyKey = policyKeyOf(tenant);
  const isKnown = known?.raw !== undefined && known.raw === delivery.raw && known.policyKey === policyKey;
  return isKnown
    ? withoutSpool(known.presence.stateHash)
    : stateHashOf(stateText(delivery.heartbeat()), policyKey);
}

async function recordChange(
  delivery: Delivery,
  key: string,
  seen: Seen,
  { before, round }: { before: PresenceItem | undefined; round: number },
  tenant: TenantItem,
  deps: RecordDeps,
): Promise<boolean> {
  // Baseline and incidents are written with or after presence, so an asset without presence has neither.
  // After a crash between two transactions this may be wrong; then the write is refused, and the next attempt
  // reads.
  const isFirst = before === undefined && round === 0;
  const isolatedBefore = before ? before.isolatedBefore : await readIsolatedBefore(delivery, seen, deps);
  const identity = sceneFor(seen, delivery.at, isolatedBefore);
  const { judgement, baseline } = await judge(delivery, key, tenant, deps, { isFirst, identity });
  await putChange(delivery, key, judgement, tenant, deps);
  await putSample(delivery, tenant, deps);
  await recordProof(delivery, tenant, deps);
  const names = [...(before?.openIncidents ?? []), ...judgement.findings];
  const incidents = isFirst
    ? new Map<string, IncidentItem>()
    : await readNamedIncidents(delivery, names, tenant, deps);
  const runs = openRuns(before, incidents);
  const { hostname } = delivery.heartbeat().host;
  takeState(runs, { at: key, hostname, findings: judgement.findings }, tenant.quietPeriodSeconds * 1000);
  const { stateHash } = seen;
  const after = {
    ...presenceOf(delivery, key, stateHash, judgement, [], tenant),
    ...usedBy(seen),
    ...(isolatedBefore && { isolatedBefore }),
  };
  const inventory = inventoryOf(delivery, key);
  const plan = { before, after, runs, incidents, baseline, inventory, delivery, stateHash };
  return settle(plan, tenant, deps);
}

/** Members of presence about the use of the identity. */
const usedBy = ({ identity, run }: Use): Pick<PresenceItem, "identity" | "run"> => ({
  ...(identity && { identity }),
  ...(run !== undefined && { run }),
});

/**
 * Records a late state, which a newer one has replaced. It is added to the timeline, and its findings are
 * incidents too. The states after it determine how these incidents continued, so all runs are recomputed from
 * the table.
 */
async function recordLate(
  delivery: Delivery,
  { key, resumedAt }: Extract<Place, { kind: "late" }>,
  seen: Seen,
  known: Known,
  tenant: TenantItem,
  deps: RecordDeps,
): Promise<boolean> {
  const { presence, done } = known;
  await putSample(delivery, tenant, deps);
  const before = done.get(key);
  const isLearnt = isTimely(delivery) || before?.isLearnt === true;
  if (before && before.sequence <= delivery.sequence && before.isLearnt === isLearnt) return true;
  const { stateHash } = seen;
  const identity = sceneFor(seen, delivery.at, presence.isolatedBefore);
  const { judgement, baseline } = await judge(delivery, key, tenant, deps, { identity });
  await putChange(delivery, key, judgement, tenant, deps);
  const resumed = resumedAt === undefined ? presence : await resume(presence, resumedAt, tenant, deps);
  const after = withUse(resumed, seen);
  await recordProof(delivery, tenant, deps);
  const incidents = await readIncidents(delivery, tenant, deps);
  const isConcerned = incidents.size > 0 || judgement.findings.length > 0;
  const runs = isConcerned ? await runsFrom(key, after, incidents, tenant, deps) : undefined;
  const isDone = await settle(
    { before: presence, after, runs, incidents, baseline, delivery, stateHash },
    tenant,
    deps,
  );
  const sequence = Math.min(delivery.sequence, before?.sequence ?? delivery.sequence);
  if (isDone) done.set(key, { sequence, isLearnt });
  return isDone;
}

/** Presence with the use of the identity updated from a heartbeat of another state. */
const withUse = (presence: PresenceItem, { identity }: Use): PresenceItem =>
  identity === undefined || identity === presence.identity ? presence : { ...presence, identity };

/**
 * Adds the state of presence to the timeline again, at the time the asset was last seen in it. Without this
 * item the contradicting earlier state would be the newest in the history.
 */
async function resume(
  presence: PresenceItem,
  at: string,
  tenant: TenantItem,
  deps: RecordDeps,
): Promise<PresenceItem> {
  const item = await readChange(presence, tenant, deps);
  if (item) {
    const resumed = { ...item, at, sequence: presence.sequence, expiresAt: expiry({ ...item, at }, tenant) };
    await ignoreStale(deps.dynamo("PutItem", changePut(resumed, tenant, deps.table)));
  }
  return { ...presence, stateAt: at, stateSequence: presence.sequence };
}

async function recordSame(
  delivery: Delivery,
  seen: Seen,
  presence: PresenceItem,
  tenant: TenantItem,
  deps: RecordDeps,
): Promise<boolean> {
  const { stateHash } = seen;
  const policyKey = policyKeyOf(tenant);
  if (stateHash === presence.stateHash) deps.presences.keep(presence, delivery.raw, policyKey);
  const { head, sample, isFirstOfState } = additions(delivery, presence, tenant);
  if (sample !== undefined) await putSample(delivery, tenant, deps);
  // In a restored table the request may be newer than the state whose report answers it.
  if (head !== undefined) await recordProof(delivery, tenant, deps);
  const isLesson = !presence.isLearnt && isTimely(delivery);
  const isNoted = seen.identity !== presence.identity;
  if (head === undefined && !isFirstOfState && !isLesson && !isNoted) return true;
  const isOfState = seen.run !== undefined && seen.run === presence.run;
  const identity =
    seen.identity && isOfState && head !== undefined
      ? touchRun(seen.identity, seen.run!, delivery.at)
      : seen.identity;
  const headed: PresenceItem = {
    ...presence,
    ...(identity && { identity }),
    ...(isLesson && { isLearnt: true }),
    ...(head !== undefined && {
      lastSeenAt: head,
      sampledAt: intervalStart(delivery.at, phaseOf(delivery.assetId), tenant.telemetryResolutionSeconds),
      sequence: delivery.sequence,
      spoolDropped: delivery.heartbeat().spool.dropped,
    }),
  };
  if (isFirstOfState) return recordFirstOfState(delivery, seen, presence, headed, tenant, deps);
  const isQuiet = presence.openIncidents.some(({ absentSince }) => absentSince !== undefined);
  const incidents = isQuiet
    ? await readNamedIncidents(delivery, presence.openIncidents, tenant, deps)
    : new Map<string, IncidentItem>();
  const runs = isQuiet ? openRuns(presence, incidents) : undefined;
  const baseline = isLesson ? await learn(delivery, presence.stateAt, tenant, deps) : undefined;
  const plan = { before: presence, after: headed, runs, incidents, baseline, delivery, stateHash };
  return settle(plan, tenant, deps);
}

/**
 * An earlier heartbeat of the current state arrived after a later one. The item of the state is rewritten
 * from the earlier one.
 */
async function recordFirstOfState(
  delivery: Delivery,
  seen: Seen,
  before: PresenceItem,
  headed: PresenceItem,
  tenant: TenantItem,
  deps: RecordDeps,
): Promise<boolean> {
  const { stateHash } = seen;
  const key = before.stateAt;
  const { isolatedBefore } = before;
  const { judgement, baseline } = await judge(delivery, key, tenant, deps, {
    identity: sceneFor(seen, delivery.at, isolatedBefore),
  });
  await putChange(delivery, key, judgement, tenant, deps);
  const incidents = await readIncidents(delivery, tenant, deps);
  const runs = await runsFrom(key, before, incidents, tenant, deps);
  const { lastSeenAt, sampledAt, sequence, spoolDropped, isLearnt } = headed;
  const told = presenceOf(delivery, key, stateHash, judgement, [], tenant);
  const after = {
    ...told,
    ...usedBy(seen),
    ...(isolatedBefore && { isolatedBefore }),
    lastSeenAt,
    sampledAt,
    sequence,
    spoolDropped,
    isLearnt,
  };
  const inventory = inventoryOf(delivery, key);
  const plan = { before, after, runs, incidents, baseline, inventory, delivery, stateHash };
  return settle(plan, tenant, deps);
}

type Plan = {
  before: PresenceItem | undefined;
  /** The new presence, except its open incidents and its revision. */
  after: PresenceItem;
  /** Undefined: incidents cannot have changed. */
  runs: Runs | undefined;
  incidents: ReadonlyMap<string, IncidentItem>;
  baseline: BaselineItem | undefined;
  /** Set with a new state. */
  inventory?: InventoryItem;
  delivery: Pick<Delivery, "tenantId" | "assetId" | "raw">;
  /** Further writes in the same transaction. */
  more?: Write[];
  /** State hash of the heartbeat, which may differ from that of `after`. */
  stateHash: string;
};

/**
 * Writes presence, incidents and events in one transaction. False after an optimistic-lock conflict: read
 * again and repeat.
 */
export async function settle(plan: Plan, tenant: TenantItem, deps: RecordDeps): Promise<boolean> {
  const { before, after, runs, baseline, delivery } = plan;
  const { tenantId, assetId } = delivery;
  const { changes, open } = runs
    ? outcomeOf(runs, plan, tenant)
    : { changes: [], open: before?.openIncidents ?? [] };
  const isUntouched = after === before && changes.length === 0 && sameOpen(open, before.openIncidents);
  if (isUntouched && !baseline && !plan.more) return true;
  const presence: PresenceItem = { ...after, openIncidents: open, revision: (before?.revision ?? 0) + 1 };
  let rest = changes;
  try {
    while (rest.length > CHANGES_PER_TRANSACTION_MAX) {
      const some = rest.slice(0, CHANGES_PER_TRANSACTION_MAX);
      const check = { ConditionCheck: presenceCheck(tenantId, assetId, before, deps.table) };
      await transact([check, ...writesOf(some, delivery, tenant, deps)], deps);
      rest = rest.slice(CHANGES_PER_TRANSACTION_MAX);
    }
    const put = presencePut(presence, before, deps.table);
    const others = [...writesOf(rest, delivery, tenant, deps), ...(plan.more ?? [])];
    if (baseline) {
      const key = baselineKey(tenantId, assetId, tenant.shards);
      others.push({ Put: plainPut(key, baseline, deps.table) });
    }
    if (plan.inventory)
      others.push({ Put: plainPut(inventoryKey(tenantId, assetId), plan.inventory, deps.table) });
    if (others.length === 0) await deps.dynamo("PutItem", put);
    else await transact([{ Put: put }, ...others], deps);
  } catch (error) {
    deps.presences.forget(tenantId, assetId);
    if (isLostRace(error)) return false;
    throw error;
  }
  for (const { kind, item } of changes) if (kind) deps.log("info", kind, nameOf(item));
  const past = deps.presences.peek(tenantId, assetId)?.baseline;
  deps.presences.keep(presence);
  const item = baseline ?? (past?.revision === before?.revision ? past?.item : undefined);
  if (item) deps.presences.peek(tenantId, assetId)!.baseline = { revision: presence.revision!, item };
  const isPresent =
    after !== before &&
    delivery.raw !== undefined &&
    withoutSpool(after.stateHash) === withoutSpool(plan.stateHash);
  deps.presences.keep(
    presence,
    isPresent ? delivery.raw : undefined,
    isPresent ? policyKeyOf(tenant) : undefined,
  );
  return true;
}

const nameOf = ({ tenantId, assetId, rule, engine, risk }: IncidentItem) => ({
  tenantId,
  assetId,
  rule,
  engine,
  risk,
});

const transact = (writes: Write[], deps: RecordDeps) =>
  deps.dynamo("TransactWriteItems", { TransactItems: writes });

function outcomeOf(runs: Runs, plan: Plan, tenant: TenantItem): { changes: Change[]; open: OpenIncident[] } {
  const quietMs = tenant.quietPeriodSeconds * 1000;
  const seenAt = plan.after.lastSeenAt;
  const changes: Change[] = [];
  const open: OpenIncident[] = [];
  for (const [name, run] of [...runs].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const change = changeOf(run, plan.incidents.get(name), seenAt, quietMs, plan.delivery);
    if (change) changes.push(change);
    if (endOf(run, seenAt, quietMs) !== undefined) continue;
    const { rule, engine, risk } = run.finding;
    open.push({ rule, engine, risk, ...(run.absentSince !== undefined && { absentSince: run.absentSince }) });
  }
  return { changes, open };
}

const sameOpen = (a: readonly OpenIncident[], b: readonly OpenIncident[]): boolean =>
  a.length === b.length &&
  a.every((one) => {
    const other = b.find((candidate) => runName(candidate) === runName(one));
    return other !== undefined && other.risk === one.risk && other.absentSince === one.absentSince;
  });

function writesOf(
  changes: readonly Change[],
  { assetId }: Pick<Delivery, "assetId">,
  tenant: TenantItem,
  deps: RecordDeps,
): Write[] {
  const recordedAt = timestamp(deps.clock()); // time of this transaction, see CALL_TIMEOUT_MS
  return changes.flatMap((change): Write[] => {
    const update: Write = { Update: incidentUpdate(change, tenant.shards, deps.table) };
    const { kind, item } = change;
    if (!kind) return [update];
    const { rule, engine, engineName, risk, points, explanation, hostname, openedAt } = item;
    const at = kind === "incident.resolved" ? item.resolvedAt! : item.lastSeenAt;
    const data = {
      rule,
      engine,
      engineName,
      risk,
      points,
      explanation,
      openedAt,
      ...(item.title !== undefined && { title: item.title }),
      ...(item.atlas !== undefined && { atlas: item.atlas }),
      ...(item.remediation !== undefined && { remediation: item.remediation }),
      ...(item.resolution !== undefined && { resolution: item.resolution }),
    };
    const eventId = eventIdOf(kind, `${assetId} ${rule} ${engine} ${at}`);
    const event = makeEvent({ kind, eventId, at, assetId, hostname, data }, tenant, recordedAt);
    return [update, { Put: eventPut(event, deps.table) }];
  });
}

/** Puts the item of a changed state, unless the stored one is from an earlier heartbeat. */
async function putChange(
  delivery: Delivery,
  at: string,
  judgement: Judgement,
  tenant: TenantItem,
  deps: RecordDeps,
): Promise<void> {
  const item = changeItem(delivery, at, judgement, tenant);
  if (item.kind !== "change") return;
  await ignoreStale(deps.dynamo("PutItem", changePut(item, tenant, deps.table)));
  if (item.reviewDueAt !== undefined) deps.reviewDue?.(item.tenantId);
}

async function putSample(delivery: Delivery, tenant: TenantItem, deps: RecordDeps): Promise<void> {
  const at = sampleAt(delivery, tenant);
  if (at === undefined) return;
  await ignoreStale(deps.dynamo("PutItem", samplePut(delivery, at, tenant, deps.table)));
}

/** Ignores a failed condition: the table already has a better version of the item. */
async function ignoreStale(write: Promise<unknown>): Promise<void> {
  try {
    await write;
  } catch (error) {
    if (!isConditionFailed(error)) throw error;
  }
}
