import { type AttributeMap, marshalItem, unmarshalItem, values } from "../shared/table/dynamo.ts";
import { decodeItem } from "../shared/table/items/decode.ts";
import { type IncidentItem, incidentItem } from "../shared/table/items/incident.ts";
import type { PresenceItem } from "../shared/table/items/presence.ts";
import { finding } from "../shared/table/items/telemetry.ts";
import type { TenantItem } from "../shared/table/items/tenant.ts";
import { incidentKey, incidentPrefix, telemetryKey, telemetryPartition } from "../shared/table/keys.ts";
import type { Deps } from "./deps.ts";
import { type JudgedState, type Run, type Runs, runName, runOf, takeState } from "./incident-runs.ts";

type Reader = Pick<Deps, "dynamo" | "table">;
type Owner = { tenantId: string; assetId: string };

const PAGES_MAX = 50;
const DAY_MS = 24 * 3600 * 1000;

async function queryAll(
  { dynamo, table }: Reader,
  partition: string,
  range: { from: string; to: string },
  projection?: readonly string[],
): Promise<AttributeMap[]> {
  const items: AttributeMap[] = [];
  let from: AttributeMap | undefined;
  for (let page = 0; page < PAGES_MAX; page++) {
    const answer = await dynamo("Query", {
      TableName: table,
      ConsistentRead: true,
      KeyConditionExpression: "PK = :pk AND SK BETWEEN :from AND :to",
      ExpressionAttributeValues: values({ pk: partition, ...range }),
      ...(projection && {
        ProjectionExpression: projection.map((name) => `#${name}`).join(", "),
        ExpressionAttributeNames: Object.fromEntries(projection.map((name) => [`#${name}`, name])),
      }),
      ...(from && { ExclusiveStartKey: from }),
    });
    items.push(...(answer.Items ?? []));
    from = answer.LastEvaluatedKey;
    if (!from) return items;
  }
  throw new Error(`the history from ${range.from} is longer than ${PAGES_MAX} pages`);
}

/** Every incident of an asset, by name of its run. */
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

/** The named incidents; in one read, for a change touches few of them. */
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

/** What is going on by presence: the open runs, with their facts from the incidents. */
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
 * The runs made anew out of the table, for a state that was told late: every state from the day before the quiet
 * period on (each day begins with an item of the state it began with), and what was open before that.
 */
export async function runsFrom(
  lateAt: string,
  presence: PresenceItem,
  incidents: ReadonlyMap<string, IncidentItem>,
  tenant: TenantItem,
  deps: Reader,
): Promise<Runs> {
  const { tenantId, assetId } = presence;
  const quietMs = tenant.quietPeriodSeconds * 1000;
  const start = `${new Date(Date.parse(lateAt) - quietMs - DAY_MS).toISOString().slice(0, 10)}T00:00:00.000Z`;
  const stored = await queryAll(
    deps,
    telemetryPartition(tenantId, assetId, tenant.shards),
    {
      from: telemetryKey(tenantId, assetId, start, tenant.shards).SK,
      to: telemetryKey(tenantId, assetId, presence.stateAt, tenant.shards).SK,
    },
    ["kind", "at", "hostname", "findings"],
  );
  const runs = runsBefore(start, presence, incidents);
  for (const state of stored.flatMap(stateOf)) takeState(runs, state, quietMs);
  return runs;
}

function stateOf(stored: AttributeMap): JudgedState[] {
  if (stored.kind?.S !== "change") return [];
  const { at, hostname, findings } = unmarshalItem(stored) as Record<string, unknown>;
  return [{ at: String(at), hostname: String(hostname), findings: finding.array().parse(findings) }];
}

/** Runs that began before the window and may go on in it. */
function runsBefore(
  start: string,
  presence: PresenceItem,
  incidents: ReadonlyMap<string, IncidentItem>,
): Runs {
  const runs: Runs = new Map();
  for (const [name, item] of incidents) {
    if (item.openedAt >= start) continue;
    const open = presence.openIncidents.find((one) => runName(one) === name);
    const absentSince =
      open?.absentSince !== undefined && open.absentSince < start ? open.absentSince : undefined;
    if (item.lastSeenAt < start && !open) continue; // over before the window began
    const run: Run = runOf(item, absentSince);
    if (run.escalatedAt !== undefined && run.escalatedAt >= start) delete run.escalatedAt;
    runs.set(name, { ...run, lastSeenAt: item.lastSeenAt < start ? item.lastSeenAt : item.openedAt });
  }
  return runs;
}
