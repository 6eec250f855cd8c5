import { type AttributeMap, marshalItem, unmarshalItem, values } from "../../shared/table/dynamo.ts";
import type { PresenceItem } from "../../shared/table/items/asset/presence.ts";
import { finding, type TelemetryChange, telemetryItem } from "../../shared/table/items/asset/telemetry.ts";
import { decodeItem } from "../../shared/table/items/decode.ts";
import { type IncidentItem, incidentItem } from "../../shared/table/items/incident.ts";
import type { TenantItem } from "../../shared/table/items/tenant.ts";
import { incidentKey, incidentPrefix, telemetryKey, telemetryPartition } from "../../shared/table/keys.ts";
import type { PlatformDeps } from "../platform/deps.ts";
import { type AssessedState, applyState, type Runs, runName, runOf } from "./incident-runs.ts";

type Reader = Pick<PlatformDeps, "dynamo" | "table">;
type Owner = { tenantId: string; assetId: string };

const PAGES_MAX = 50;

type Range = { from: string; to: string };
/** Further parameters of the Query request. `given`: values for its filter expression. */
type More = { given?: Record<string, unknown>; [name: string]: unknown };

async function queryPage(
  { dynamo, table }: Reader,
  partition: string,
  range: Range,
  { given, ...more }: More,
): Promise<{ items: AttributeMap[]; next: AttributeMap | undefined }> {
  const { Items, LastEvaluatedKey } = await dynamo("Query", {
    TableName: table,
    ConsistentRead: true,
    KeyConditionExpression: "PK = :pk AND SK BETWEEN :from AND :to",
    ExpressionAttributeValues: values({ pk: partition, ...range, ...given }),
    ...more,
  });
  return { items: Items ?? [], next: LastEvaluatedKey };
}

async function queryAll(
  reader: Reader,
  partition: string,
  range: Range,
  more: More = {},
): Promise<AttributeMap[]> {
  const items: AttributeMap[] = [];
  let from: AttributeMap | undefined;
  for (let page = 0; page < PAGES_MAX; page++) {
    const read = await queryPage(reader, partition, range, {
      ...more,
      ...(from && { ExclusiveStartKey: from }),
    });
    items.push(...read.items);
    from = read.next;
    if (!from) return items;
  }
  throw new Error(`the history from ${range.from} is longer than ${PAGES_MAX} pages`);
}

/** Reads all incidents of an asset. The keys of the map are run names. */
export async function readIncidents(
  { tenantId, assetId }: Owner,
  tenant: TenantItem,
  deps: Reader,
): Promise<Map<string, IncidentItem>> {
  const prefix = incidentPrefix(assetId);
  const stored = await queryAll(deps, telemetryPartition(tenantId, assetId, tenant.shards), {
    from: prefix,
    to: `${prefix}~`,
  });
  const incidents = stored.map((item) => decodeItem(incidentItem, item));
  return new Map(incidents.map((incident) => [runName(incident), incident]));
}

/** Reads the named incidents. A change usually affects only a few incidents, so each one is read individually. */
export async function readNamedIncidents(
  { tenantId, assetId }: Owner,
  names: readonly { rule: string; engine: string }[],
  tenant: TenantItem,
  deps: Reader,
): Promise<Map<string, IncidentItem>> {
  const { dynamo, table } = deps;
  const distinct = new Map(names.map(({ rule, engine }) => [runName({ rule, engine }), { rule, engine }]));
  if (distinct.size === 0) return new Map();
  if (distinct.size > 20) return readIncidents({ tenantId, assetId }, tenant, deps);
  const found = await Promise.all(
    [...distinct].map(async ([name, parts]) => {
      const Key = marshalItem(incidentKey(tenantId, { assetId, ...parts }, tenant.shards));
      const { Item } = await dynamo("GetItem", { TableName: table, Key, ConsistentRead: true });
      return Item ? ([[name, decodeItem(incidentItem, Item)]] as const) : [];
    }),
  );
  return new Map(found.flat());
}

/** The stored item of a state, by default of the current state. Undefined if its retention is over. */
export async function readChange(
  { tenantId, assetId, stateAt }: Pick<PresenceItem, "tenantId" | "assetId" | "stateAt">,
  { shards }: TenantItem,
  { dynamo, table }: Reader,
): Promise<TelemetryChange | undefined> {
  const Key = marshalItem(telemetryKey(tenantId, assetId, stateAt, shards));
  const { Item } = await dynamo("GetItem", { TableName: table, Key, ConsistentRead: true });
  const item = Item && decodeItem(telemetryItem, Item);
  return item?.kind === "change" ? item : undefined;
}

/** The open runs of presence, with their details from the incidents. */
export function openRuns(
  presence: PresenceItem | undefined,
  incidents: ReadonlyMap<string, IncidentItem>,
): Runs {
  const runs: Runs = new Map();
  for (const open of presence?.openIncidents ?? []) {
    const item = incidents.get(runName(open));
    if (item) runs.set(runName(open), runOf(item, open.absentSince));
  }
  return runs;
}

/**
 * Recomputes the runs from the table after a late state. Starts at the newest earlier state at which all open
 * conditions are known, and applies every later state.
 */
export async function runsFrom(
  lateAt: string,
  presence: PresenceItem,
  incidents: ReadonlyMap<string, IncidentItem>,
  tenant: TenantItem,
  deps: Reader,
): Promise<Runs> {
  const quietMs = tenant.quietPeriodSeconds * 1000;
  const states = await statesSince(lateAt, presence, tenant, deps);
  let runs: Runs | undefined;
  for await (const state of statesBefore(lateAt, presence, tenant, deps)) {
    states.unshift(state);
    runs = runsAt(states, presence, incidents, quietMs);
    if (runs) break;
  }
  runs ??= absentRuns("", presence, incidents); // without such a state, the states are the whole history
  for (const state of states) applyState(runs, state, quietMs);
  keepUnexplained(runs, presence, incidents);
  return runs;
}

/**
 * Adds open incidents that are missing from every stored state, because their state was assessed again with
 * another policy. They count as absent from the newest state on, so they resolve after the quiet period.
 * Otherwise they would stay open for ever.
 */
function keepUnexplained(
  runs: Runs,
  presence: PresenceItem,
  incidents: ReadonlyMap<string, IncidentItem>,
): void {
  const absentSince = new Map(presence.openIncidents.map((open) => [runName(open), open.absentSince]));
  for (const [name, item] of incidents) {
    if (item.status === "OPEN" && !runs.has(name))
      runs.set(name, runOf(item, absentSince.get(name) ?? presence.stateAt));
  }
}

/**
 * Runs at the first of these states, if the table determines them. Undefined if an earlier state is needed.
 *
 * A stored incident belongs to its newest run. If that run began no later than the first state, and the state
 * shows the condition, the run is also the run of this state.
 *
 * A condition that the first state does not show ended at an unknown earlier time. It may continue within the
 * quiet period after the first state.
 */
function runsAt(
  states: readonly AssessedState[],
  presence: PresenceItem,
  incidents: ReadonlyMap<string, IncidentItem>,
  quietMs: number,
): Runs | undefined {
  const [first, ...others] = states as [AssessedState, ...AssessedState[]];
  const runs = absentRuns(first.at, presence, incidents);
  for (const finding of first.findings) {
    const item = incidents.get(runName(finding));
    if (!item || item.openedAt > first.at) return undefined;
    const { escalatedAt, ...run } = runOf(item, undefined);
    // A later escalation is found again when the later states are applied. An earlier escalation still counts
    // if a late state is inserted after it.
    const isKnown = escalatedAt !== undefined && escalatedAt <= first.at;
    runs.set(runName(finding), { ...run, finding, lastSeenAt: first.at, ...(isKnown && { escalatedAt }) });
  }
  const quietEnd = Date.parse(first.at) + quietMs;
  const soon = others.filter(({ at }) => Date.parse(at) < quietEnd).flatMap(({ findings }) => findings);
  return soon.every((finding) => runs.has(runName(finding))) ? runs : undefined;
}

/** Open runs whose condition was already absent at the time `at` and is still absent. */
function absentRuns(at: string, presence: PresenceItem, incidents: ReadonlyMap<string, IncidentItem>): Runs {
  const gone = presence.openIncidents.filter(({ absentSince }) => (absentSince ?? "~") <= at);
  return openRuns({ ...presence, openIncidents: gone }, incidents);
}

const CHANGES_ONLY = {
  given: { change: "change" },
  FilterExpression: "#kind = :change",
  ProjectionExpression: "#kind, #at, #hostname, #findings",
  ExpressionAttributeNames: {
    "#kind": "kind",
    "#at": "at",
    "#hostname": "hostname",
    "#findings": "findings",
  },
};

async function statesSince(
  at: string,
  { tenantId, assetId, stateAt }: PresenceItem,
  { shards }: TenantItem,
  deps: Reader,
): Promise<AssessedState[]> {
  const skOf = (time: string) => telemetryKey(tenantId, assetId, time, shards).SK;
  const range = { from: skOf(at), to: skOf(stateAt) };
  const stored = await queryAll(deps, telemetryPartition(tenantId, assetId, shards), range, CHANGES_ONLY);
  return stored.map(stateOf);
}

/**
 * Reads the changes before `at`, newest first. Up to a day of samples can lie between two changes, so the
 * page size grows.
 */
async function* statesBefore(
  at: string,
  { tenantId, assetId }: PresenceItem,
  { shards }: TenantItem,
  deps: Reader,
): AsyncGenerator<AssessedState> {
  const partition = telemetryPartition(tenantId, assetId, shards);
  const skOf = (time: string) => telemetryKey(tenantId, assetId, time, shards).SK;
  const range = { from: skOf(""), to: skOf(at) };
  let from: AttributeMap | undefined = marshalItem(telemetryKey(tenantId, assetId, at, shards));
  for (let limit = 16; from; limit = Math.min(limit * 4, 4096)) {
    const page: Awaited<ReturnType<typeof queryPage>> = await queryPage(deps, partition, range, {
      ...CHANGES_ONLY,
      ScanIndexForward: false,
      Limit: limit,
      ExclusiveStartKey: from,
    });
    yield* page.items.map(stateOf);
    from = page.next;
  }
}

function stateOf(stored: AttributeMap): AssessedState {
  const { at, hostname, findings } = unmarshalItem(stored) as Record<string, unknown>;
  return { at: String(at), hostname: String(hostname), findings: finding.array().parse(findings) };
}
