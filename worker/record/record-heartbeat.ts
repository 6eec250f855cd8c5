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

/** Decisions that may be made anew because another worker was faster. */
const ROUNDS_MAX = 16;
/** DynamoDB takes 100 writes in a transaction; an incident may come with an event. */
const CHANGES_PER_TRANSACTION_MAX = 45;

const policyKeys = new WeakMap<TenantItem, string>();

/**
 * Names a policy, in whatever order a table gives the members of its maps. It is part of what a state is known by:
 * changing the policy judges every asset anew.
 */
export function policyKeyOf(tenant: TenantItem): string {
  let key = policyKeys.get(tenant);
  if (key === undefined) {
    key = canonicalJson(tenant.policy);
    policyKeys.set(tenant, key);
  }
  return key;
}

/** True when the table already holds all that this heartbeat says, as far as this worker knows. */
export function addsNothing(
  moment: Moment & Pick<Delivery, "raw" | "waiting" | "dropped">,
  known: Known | undefined,
  tenant: TenantItem,
): boolean {
  if (known?.raw === undefined || known.raw !== moment.raw || known.policyKey !== policyKeyOf(tenant))
    return false;
  const { presence } = known;
  // Another machine reported under this identity since: that this one does again has to be noted.
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
 * Writes what one heartbeat says. Lossless on change, sampled otherwise:
 *
 * - a change of state: its telemetry item, the containment proof, its incidents, presence;
 * - a state that was left before it arrived: its telemetry item, and the incidents made anew out of the history;
 * - nothing new: once per resolution interval a sample and presence, else no write at all.
 *
 * Every key and every content is a function of the heartbeats, and presence is written only over the very one it
 * was decided from. So a heartbeat that comes twice, late, or at two workers leaves the same table; only which runs use
 * the identity (`identity` of presence) is noted in the order in which heartbeats come. Presence and incidents are one
 * transaction, after everything else: whatever a crash cut off before it is done again.
 */
export async function record(delivery: Delivery, tenant: TenantItem, deps: RecordDeps): Promise<void> {
  const { tenantId, assetId } = delivery;
  const remembered = deps.presences.peek(tenantId, assetId);
  if (addsNothing(delivery, remembered, tenant)) return;
  const hash = hashOf(delivery, remembered, tenant);
  for (let round = 0; round < ROUNDS_MAX; round++) {
    if (round > 0) await deps.pause(round);
    // Of several workers each sees a part of an asset's heartbeats: what one remembers can tell that nothing is to be
    // done, never what is.
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

/** Who uses the identity as of a delivery, and what the host's state is called. */
type Use = { identity: IdentityUse | undefined; run: string | undefined; intervalMs: number };
type Seen = Use & { stateHash: string };

/** Notes the run that a heartbeat is of. Agents from before it name none, and nothing is known of them. */
function useOf(delivery: Delivery, known: Known | undefined): Use {
  const { presence } = known ?? {};
  // A state that is known word for word need not be parsed.
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

/** What the spool, and others who use the identity, add to the hash of a state. */
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
  // Baseline and incidents are only ever written with or after a presence: an asset without one has none of them.
  // Where that is not so (a crash between two transactions), the write is refused and the next round looks.
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

/** What presence keeps of who uses the identity. */
const usedBy = ({ identity, run }: Use): Pick<PresenceItem, "identity" | "run"> => ({
  ...(identity && { identity }),
  ...(run !== undefined && { run }),
});

/**
 * A state that a newer one has replaced: it belongs to the timeline, and what it showed is an incident all the same.
 * The states after it tell how those incidents went on, so all runs are computed again from the table.
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

/** Presence with what a delivery of another state tells about the use of the identity. */
const withUse = (presence: PresenceItem, { identity }: Use): PresenceItem =>
  identity === undefined || identity === presence.identity ? presence : { ...presence, identity };

/**
 * Puts the state of presence into the timeline once more, at the time the asset was last seen in it. Without that
 * item the contradicting state before it would be the newest one in the history.
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
  // The wish may be younger than the state that answers it, in a table that was restored.
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

/** An earlier heartbeat of the present state arrives after a later one: from now on the state is told from it. */
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
  /** Presence as it shall be, but for its open incidents and its revision. */
  after: PresenceItem;
  /** Undefined: nothing about incidents can have changed. */
  runs: Runs | undefined;
  incidents: ReadonlyMap<string, IncidentItem>;
  baseline: BaselineItem | undefined;
  /** With a state that presence was not of. */
  inventory?: InventoryItem;
  delivery: Pick<Delivery, "tenantId" | "assetId" | "raw">;
  /** In the same transaction. */
  more?: Write[];
  /** Of the delivery, which is not always in the state of `after`. */
  stateHash: string;
};

/** Writes presence, incidents and events at once. False when presence is no longer the one before: look again. */
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
  const recordedAt = timestamp(deps.clock()); // of this very transaction, see CALL_TIMEOUT_MS
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

/** Puts the item of a changed state, unless the one that is there is of an earlier heartbeat. */
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

/** A condition that fails says that the table already knows better. */
async function ignoreStale(write: Promise<unknown>): Promise<void> {
  try {
    await write;
  } catch (error) {
    if (!isConditionFailed(error)) throw error;
  }
}
