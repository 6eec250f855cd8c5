import { z } from "zod";
import type { FleetRow } from "../../../shared/fleet/read-fleet.ts";
import { slug } from "../../../shared/ids.ts";
import { decodeItem } from "../../../shared/table/items/decode.ts";
import { incidentItem } from "../../../shared/table/items/incident.ts";
import { INCIDENT_PREFIX, telemetryShard } from "../../../shared/table/keys.ts";
import { readTenant } from "../../../shared/tenant/read-tenant.ts";
import { timestamp } from "../../../shared/time/clock.ts";
import { type IncidentView, incidentView, listIncidents } from "../../control/incidents/list-incidents.ts";
import { queryPage, type Reader } from "../../control/table-query.ts";
import { isAcknowledged } from "./incident-table.tsx";

export type OpenRisk = "CRITICAL" | "WARNING";
export const RISKS_SHOWN: readonly OpenRisk[] = ["CRITICAL", "WARNING"];

export const SHOWN_MAX = 100;
/** Maximum number of incidents of each risk that are searched with a filter for one page. */
const SEARCHED_MAX = 1000;
/**
 * Maximum number of incidents that are read to find resolved ones. Only the newest {@link RESOLVED_KEPT_MAX}
 * resolved incidents are kept.
 */
const RESOLVED_READ_MAX = 10_000;
export const RESOLVED_KEPT_MAX = 2000;
const PAGE_ITEMS = 200;

const [HOUR_MS, DAY_MS] = [3_600_000, 86_400_000];
/** Age groups for incidents, by time of opening. The groups do not overlap and together cover all incidents. */
export const AGES = [
  { age: "hour", name: "Last hour", fromMs: 0, untilMs: HOUR_MS },
  { age: "day", name: "1 to 24 hours ago", fromMs: HOUR_MS, untilMs: DAY_MS },
  { age: "week", name: "1 to 7 days ago", fromMs: DAY_MS, untilMs: 7 * DAY_MS },
  { age: "older", name: "Over 7 days ago", fromMs: 7 * DAY_MS, untilMs: Number.POSITIVE_INFINITY },
] as const;
export type Age = (typeof AGES)[number]["age"];

/**
 * Whether an incident belongs to an age group. If the opening time is in the future (clock skew), the
 * incident belongs to the last hour.
 */
export const isOfAge = ({ openedAt }: IncidentView, age: Age, now: number): boolean => {
  const { fromMs, untilMs } = AGES.find((one) => one.age === age)!;
  const passedMs = Math.max(0, now - Date.parse(openedAt));
  return passedMs >= fromMs && passedMs < untilMs;
};

const blank = z.literal("").transform(() => undefined);
export const incidentQuery = z.object({
  status: blank.or(z.enum(["open", "resolved"])).optional(),
  risk: blank.or(z.enum(["CRITICAL", "WARNING"])).optional(),
  answered: blank.or(z.enum(["yes", "no"])).optional(),
  engine: blank.or(slug).optional(),
  /** Any text is valid. An unknown rule matches no incident. */
  rule: blank.or(z.string().max(200)).optional(),
  age: blank.or(z.enum(["hour", "day", "week", "older"])).optional(),
  /** Hosts whose open incidents are listed. Default: only hosts on the active list. */
  hosts: blank.or(z.enum(["expired", "all"])).optional(),
  q: blank.or(z.string().max(200)).optional(),
  /** Cursor for the open incidents of one risk. */
  cursor: z.string().max(2000).optional(),
  /** Sort key of the last resolved incident on the previous page. */
  after: z.string().max(300).optional(),
});
export type IncidentQuery = z.infer<typeof incidentQuery>;
export type IncidentFilter = Omit<IncidentQuery, "cursor" | "after">;

/** Converts the filter to query parameters, without the position in the list. */
export function filterOf({ cursor: _cursor, after: _after, ...filter }: IncidentQuery): [string, string][] {
  return Object.entries(filter).filter(([, value]) => value !== undefined) as [string, string][];
}

/** Returns the employee of a host, by asset id. */
export type EmployeeOf = (assetId: string) => string | undefined;
export const unknownEmployee: EmployeeOf = () => undefined;

const employees = new WeakMap<readonly FleetRow[], ReadonlyMap<string, string>>();

export function employeesBy(rows: readonly FleetRow[]): EmployeeOf {
  const known = employees.get(rows) ?? new Map(rows.map((row) => [row.assetId, row.employeeId]));
  employees.set(rows, known);
  return (assetId) => known.get(assetId);
}

/**
 * Returns a function that checks whether an incident matches the filter. Each word of the text must occur in
 * the visible fields of the incident or in the employee id of its host.
 */
export function incidentMatcher(
  { risk, answered, engine, rule, age, q }: IncidentFilter,
  employeeOf: EmployeeOf,
  now: number,
): (incident: IncidentView) => boolean {
  const words = (q ?? "").toLowerCase().split(/\s+/).filter(Boolean);
  return (incident) => {
    if (risk !== undefined && incident.risk !== risk) return false;
    if (engine !== undefined && incident.engine !== engine) return false;
    if (rule !== undefined && incident.rule !== rule) return false;
    if (answered !== undefined && isAcknowledged(incident) !== (answered === "yes")) return false;
    if (age !== undefined && !isOfAge(incident, age, now)) return false;
    if (words.length === 0) return true;
    const { hostname, engineName, explanation, assetId, resolution } = incident;
    const texts = [
      hostname,
      engineName,
      incident.rule,
      explanation,
      assetId,
      employeeOf(assetId),
      resolution,
    ];
    const text = texts.join("\n").toLowerCase();
    return words.every((word) => text.includes(word));
  };
}

/** Open incidents of one risk. `cursor`: present if more incidents follow, or if some incidents were not searched. */
export type OpenIncidents = {
  risk: OpenRisk;
  incidents: IncidentView[];
  searched: number;
  /** Number of incidents that were left out because their host is not on the active list. */
  expiredLeftOut: number;
  cursor?: string;
};

/**
 * Finds open incidents of a risk that match the filter, newest first, in the index GSI2. Searches until a
 * page is full, but at most {@link SEARCHED_MAX} incidents. If the filter selects an age group, the search
 * starts at the beginning of this group.
 */
export async function findOpen(
  reader: Reader,
  tenantId: string,
  risk: OpenRisk,
  query: IncidentQuery,
  employeeOf: EmployeeOf = unknownEmployee,
): Promise<OpenIncidents> {
  const now = reader.clock();
  const { status: _status, risk: _risk, cursor, ...filter } = query;
  const matches = incidentMatcher(filter, employeeOf, now);
  const { fromMs, untilMs } = AGES.find(({ age }) => age === query.age) ?? AGES_ALL;
  const found: OpenIncidents = { risk, incidents: [], searched: 0, expiredLeftOut: 0 };
  const { hosts: lifecycle = "active" } = query;
  let from = query.risk === undefined ? undefined : cursor;
  do {
    const start = from !== undefined ? { from } : fromMs > 0 ? { until: `${timestamp(now - fromMs)}~` } : {};
    const page = await listIncidents(reader, tenantId, { risk, limit: SHOWN_MAX, lifecycle, ...start });
    found.searched += page.items.length;
    found.expiredLeftOut += page.expiredLeftOut ?? 0;
    found.incidents.push(...page.items.filter(matches));
    const last = page.items.at(-1);
    if (last && now - Date.parse(last.openedAt) >= untilMs) return found;
    from = page.cursor;
  } while (from !== undefined && found.incidents.length < SHOWN_MAX && found.searched < SEARCHED_MAX);
  return from === undefined ? found : { ...found, cursor: from };
}
const AGES_ALL = { fromMs: 0, untilMs: Number.POSITIVE_INFINITY };

/**
 * Resolved incidents of the tenant, newest first. `total`: number of resolved incidents that were found.
 * `incidents` contains only the newest of them.
 */
export type Resolved = {
  incidents: readonly IncidentView[];
  total: number;
  /** False if some incidents were not read. The unread incidents may include recent ones. */
  complete: boolean;
  readAtMs: number;
};

/**
 * Reads resolved incidents from the telemetry partitions of all shards, because no index contains resolved
 * incidents.
 */
export async function readResolved(reader: Reader, tenantId: string): Promise<Resolved> {
  const readAtMs = reader.clock();
  const { shards } = await readTenant(reader, tenantId);
  const each = Math.ceil(RESOLVED_READ_MAX / shards);
  const parts = await Promise.all(
    Array.from({ length: shards }, async (_, shard) => {
      const found: IncidentView[] = [];
      let looked = 0;
      for await (const page of shardIncidents(reader, tenantId, shard)) {
        if (looked >= each) return { found, complete: false };
        looked += page.length;
        found.push(...page.filter(({ status }) => status === "RESOLVED"));
      }
      return { found, complete: true };
    }),
  );
  const all = parts.flatMap(({ found }) => found).sort((a, b) => (sortKeyOf(a) < sortKeyOf(b) ? 1 : -1));
  const complete = parts.every((part) => part.complete);
  return { incidents: all.slice(0, RESOLVED_KEPT_MAX), total: all.length, complete, readAtMs };
}

/** Sort key of a resolved incident: time of resolution, then id. */
export const sortKeyOf = ({ resolvedAt, openedAt, id }: IncidentView): string =>
  `${resolvedAt ?? openedAt}~${id}`;

/** Reads all resolved incidents, one page at a time, in no particular order. */
export async function* everyResolved(reader: Reader, tenantId: string): AsyncGenerator<IncidentView[]> {
  const { shards } = await readTenant(reader, tenantId);
  for (let shard = 0; shard < shards; shard++)
    for await (const page of shardIncidents(reader, tenantId, shard))
      yield page.filter(({ status }) => status === "RESOLVED");
}

async function* shardIncidents(reader: Reader, tenantId: string, shard: number) {
  const query = { partition: telemetryShard(tenantId, shard), prefix: INCIDENT_PREFIX, limit: PAGE_ITEMS };
  let from: string | undefined;
  do {
    const page = await queryPage(reader, { ...query, ...(from !== undefined && { from }) });
    yield page.items.map((stored) => incidentView(decodeItem(incidentItem, stored)));
    from = page.cursor;
  } while (from !== undefined);
}
