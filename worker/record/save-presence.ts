import { eventPut } from "../../shared/events/event-put.ts";
import { makeEvent } from "../../shared/events/make-event.ts";
import type { BaselineItem } from "../../shared/table/items/asset/baseline.ts";
import type { InventoryItem } from "../../shared/table/items/asset/inventory.ts";
import type { OpenIncident, PresenceItem } from "../../shared/table/items/asset/presence.ts";
import type { IncidentItem } from "../../shared/table/items/incident.ts";
import type { TenantItem } from "../../shared/table/items/tenant.ts";
import { baselineKey, inventoryKey } from "../../shared/table/keys.ts";
import { isWriteConflict } from "../../shared/table/write-conflict.ts";
import { timestamp } from "../../shared/time/clock.ts";
import type { Delivery } from "../heartbeat/parse-heartbeat.ts";
import { policyKeyOf, withoutSpool } from "../heartbeat/state-hash.ts";
import type { RecordDeps } from "./deps.ts";
import { eventIdOf } from "./event-id.ts";
import { type Change, changeOf } from "./incident-changes.ts";
import { endOf, type Runs, runName } from "./incident-runs.ts";
import { incidentUpdate, plainPut, presenceCheck, presencePut, type Write } from "./write-requests.ts";

/**
 * Maximum number of incident changes per transaction. DynamoDB accepts 100 writes per transaction (AWS API
 * reference), and a change of an incident can add an event.
 */
const CHANGES_PER_TRANSACTION_MAX = 45;

/** The writes that result from a heartbeat or a review. */
export type PresenceChange = {
  before: PresenceItem | undefined;
  /** The new presence, without its open incidents and its revision. */
  after: PresenceItem;
  /** Runs of the asset. Undefined if its incidents cannot have changed. */
  runs: Runs | undefined;
  incidents: ReadonlyMap<string, IncidentItem>;
  baseline: BaselineItem | undefined;
  /** Inventory of a new state. Absent if the state did not change. */
  inventory?: InventoryItem;
  delivery: Pick<Delivery, "tenantId" | "assetId" | "raw">;
  /** Further writes for the same transaction. */
  more?: Write[];
  /** State hash of the heartbeat, which can differ from that of `after`. */
  stateHash: string;
};

/**
 * Writes presence, incidents and events in one transaction. Returns false after an optimistic-lock conflict.
 * The caller then reads again and repeats.
 */
export async function savePresence(
  plan: PresenceChange,
  tenant: TenantItem,
  deps: RecordDeps,
): Promise<boolean> {
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
    if (isWriteConflict(error)) return false;
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

function outcomeOf(
  runs: Runs,
  plan: PresenceChange,
  tenant: TenantItem,
): { changes: Change[]; open: OpenIncident[] } {
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
  const recordedAt = timestamp(deps.clock()); // events need the time of this transaction (see CALL_TIMEOUT_MS)
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
