import {
  type Counted,
  clientsOf,
  countFleet,
  countHosts,
  enginesOf,
  hasAi,
  hasFailedSources,
  kindsOf,
  modelsOf,
} from "../../../shared/fleet/count.ts";
import {
  type ExpiredRow,
  type FleetHolding,
  type FleetRow,
  readFleet,
  readHoldings,
} from "../../../shared/fleet/read-fleet.ts";
import { type Reporting, reportingOf } from "../../../shared/fleet/reporting.ts";
import type { FleetCounts, FleetHourItem } from "../../../shared/table/items/fleet.ts";
import { readExpiryDays } from "../../../shared/tenant/read-expiry-days.ts";
import type { Lifecycle } from "../../control/assets/read-assets.ts";
import type { DashboardDeps } from "../deps.ts";
import { type Resolved, readResolved } from "../incidents/incident-search.ts";
import { type FleetHistory, readFleetHistory } from "./fleet-history.ts";
import { type Background, createTenantCache, setNewest } from "./stale-while-revalidate.ts";

/**
 * `rows`: hosts on the active list. `expired`: hosts that are no longer on the active list. The counts and
 * the inventory do not include expired hosts.
 */
export type Fleet = {
  rows: readonly FleetRow[];
  expired: readonly ExpiredRow[];
  complete: boolean;
  readAtMs: number;
};

/**
 * All enrolled hosts, including expired ones, sorted by id. Expired hosts are included because the custody
 * log names them too.
 */
export const allRows = ({ rows, expired }: Pick<Fleet, "rows" | "expired">): readonly FleetRow[] =>
  expired.length === 0 ? rows : [...rows, ...expired].sort((a, b) => (a.assetId < b.assetId ? -1 : 1));

/** Models and clients of every host, and the time at which they were read. */
export type Holdings = { holdings: readonly FleetHolding[]; complete: boolean; readAtMs: number };

/** Counts of the fleet at the time `atMs`, and the earlier hourly counts (oldest first). */
export type FleetNumbers = {
  counts: FleetCounts;
  atMs: number;
  complete: boolean;
  hours: readonly FleetHourItem[];
};

export type Fleets = {
  /** Returns every host of the tenant, for lists and filters. */
  of(tenantId: string, background: Background): Promise<Fleet>;
  /**
   * Returns counts of the fleet. Before the first read of a large fleet, returns the worker's last counts
   * with their age.
   */
  numbersOf(tenantId: string, background: Background): Promise<FleetNumbers>;
  /** Returns the models (with details) and the clients of every host. */
  holdingsOf(tenantId: string, background: Background): Promise<Holdings>;
  /** Returns the resolved incidents of the tenant. */
  resolvedOf(tenantId: string, background: Background): Promise<Resolved>;
};

/** Maximum number of hosts in a small fleet. A request for a small fleet waits until all of its hosts are read. */
const SMALL_HOSTS_MAX = 300;
/** Maximum age in ms of the worker's counts. If the counts are older, the page waits for a read instead. */
const COUNTED_MS_MAX = 2 * 3600_000;
const HISTORY_FRESH_MS = 30_000;

/** Cached reads of a tenant's fleet. See {@link createTenantCache} for their maximum age. */
export function createFleets(deps: DashboardDeps): Fleets {
  const fleets = createTenantCache(deps, async (tenantId): Promise<Fleet> => {
    const readAtMs = deps.clock();
    return { ...(await readFleet(deps, tenantId, readExpiryDays(deps, tenantId))), readAtMs };
  });
  const holdings = createTenantCache(deps, async (tenantId): Promise<Holdings> => {
    const readAtMs = deps.clock();
    return { ...(await readHoldings(deps, tenantId)), readAtMs };
  });
  const resolved = createTenantCache(deps, (tenantId) => readResolved(deps, tenantId));
  const histories = new Map<string, { history: FleetHistory; readAtMs: number }>();
  const counted = new WeakMap<Fleet, FleetCounts>();

  async function historyOf(tenantId: string): Promise<FleetHistory> {
    const known = histories.get(tenantId);
    if (known && deps.clock() - known.readAtMs < HISTORY_FRESH_MS) return known.history;
    const history = await readFleetHistory(deps, tenantId);
    setNewest(histories, tenantId, { history, readAtMs: deps.clock() });
    return history;
  }

  function countsOf(fleet: Fleet): FleetCounts {
    const known = counted.get(fleet);
    // A host becomes silent when time passes without a heartbeat, so a small fleet is counted again for every
    // request.
    if (known && fleet.rows.length > SMALL_HOSTS_MAX) return known;
    const counts = countFleet(fleet.rows, deps.clock(), fleet.expired.length);
    counted.set(fleet, counts);
    return counts;
  }

  async function numbersOf(tenantId: string, background: Background): Promise<FleetNumbers> {
    const { summary, hours } = await historyOf(tenantId);
    const isLarge = (summary?.counts.hosts ?? 0) > SMALL_HOSTS_MAX;
    if (summary && isLarge && !fleets.has(tenantId)) {
      const atMs = Date.parse(summary.at);
      if (deps.clock() - atMs < COUNTED_MS_MAX) {
        fleets.warm(tenantId, background);
        return { counts: summary.counts, atMs, complete: true, hours };
      }
    }
    const fleet = await fleets.get(tenantId, background);
    return { counts: countsOf(fleet), atMs: fleet.readAtMs, complete: fleet.complete, hours };
  }

  return { of: fleets.get, holdingsOf: holdings.get, resolvedOf: resolved.get, numbersOf };
}

export type FleetFilter = {
  state?: Reporting | "unseen" | "isolated" | "collectors" | "ai" | "expired" | "all" | undefined;
  engine?: string | undefined;
  model?: string | undefined;
  client?: string | undefined;
  employee?: string | undefined;
  q?: string | undefined;
};

/**
 * Returns which lifecycle states a filter includes. Hosts that are not on the active list are included only
 * if the filter's state is `expired` or `all`.
 */
export const lifecycleOf = ({ state }: FleetFilter): Lifecycle =>
  state === "expired" || state === "all" ? state : "active";

export const isFiltered = (filter: FleetFilter): boolean =>
  Object.values(filter).some((value) => value !== undefined);

/** The fields that a filter reads. Cached rows and full assets both have these fields. */
type Filtered = Omit<FleetRow, "presence"> & {
  presence?: Omit<NonNullable<FleetRow["presence"]>, "assetId">;
};

/** Returns the rows that match every condition of the filter and every word of its text. */
export function matching<Row extends Filtered>(
  rows: readonly Row[],
  filter: FleetFilter,
  now: number,
): Row[] {
  const words = (filter.q ?? "").toLowerCase().split(/\s+/).filter(Boolean);
  return rows.filter((row) => {
    const { presence } = row;
    if (filter.engine !== undefined && !presence?.engines.some((engine) => engine.id === filter.engine))
      return false;
    if (filter.model !== undefined && !presence?.models.includes(filter.model)) return false;
    if (filter.client !== undefined && !presence?.clients.includes(filter.client)) return false;
    if (filter.employee !== undefined && row.employeeId !== filter.employee) return false;
    if (filter.state !== undefined && !isIn(row, filter.state, now)) return false;
    if (words.length === 0) return true;
    const text = [row.hostname, row.assetId, row.employeeId, row.os, ...(presence?.models ?? [])]
      .concat(presence?.engines.map((engine) => engine.name) ?? [])
      .join("\n")
      .toLowerCase();
    return words.every((word) => text.includes(word));
  });
}

function isIn(row: Filtered, state: NonNullable<FleetFilter["state"]>, now: number): boolean {
  // No check is needed for these states, because the caller has already selected the rows with lifecycleOf().
  if (state === "expired" || state === "all") return true;
  if (state === "isolated") return row.status === "ISOLATED";
  if (state === "collectors") return hasFailedSources(row as FleetRow);
  if (state === "ai") return hasAi(row as FleetRow);
  if (state === "unseen") return reportingOf(row.presence, now) !== "reporting";
  return reportingOf(row.presence, now) === state;
}

export type Inventory = {
  engines: Counted[];
  models: Counted[];
  clients: Counted[];
  kinds: Counted[];
  /** Kind of each engine, by engine id. */
  kindOf: ReadonlyMap<string, string>;
  withEngine: ReadonlyMap<string, FleetRow[]>;
  withModel: ReadonlyMap<string, FleetRow[]>;
  withClient: ReadonlyMap<string, FleetRow[]>;
};

const inventories = new WeakMap<readonly FleetRow[], Inventory>();

/** Groups engines, models and clients with their hosts. Computed once for each cached read of the fleet. */
export function inventoryOf(rows: readonly FleetRow[]): Inventory {
  const known = inventories.get(rows);
  if (known) return known;
  const inventory: Inventory = {
    engines: countHosts(rows, enginesOf),
    models: countHosts(rows, modelsOf),
    clients: countHosts(rows, clientsOf),
    kinds: countHosts(rows, kindsOf),
    kindOf: new Map(rows.flatMap((row) => row.presence?.engines ?? []).map(({ id, kind }) => [id, kind])),
    withEngine: hostsBy(rows, enginesOf),
    withModel: hostsBy(rows, modelsOf),
    withClient: hostsBy(rows, clientsOf),
  };
  inventories.set(rows, inventory);
  return inventory;
}

function hostsBy(
  rows: readonly FleetRow[],
  pick: (row: FleetRow) => { key: string }[],
): Map<string, FleetRow[]> {
  const hosts = new Map<string, FleetRow[]>();
  for (const row of rows) {
    for (const key of new Set(pick(row).map((found) => found.key))) {
      const list = hosts.get(key);
      if (list) list.push(row);
      else hosts.set(key, [row]);
    }
  }
  return hosts;
}
