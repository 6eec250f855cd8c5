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
import type { Deps } from "../../deps.ts";
import { type Resolved, readResolved } from "../incidents/incident-search.ts";
import { type FleetHistory, readFleetHistory } from "./fleet-history.ts";
import { type Background, createPictures, keepNewest } from "./stale-while-revalidate.ts";

/** `rows`: the active list. `expired`: hosts that left it, which no count and no inventory holds. */
export type Fleet = {
  rows: readonly FleetRow[];
  expired: readonly ExpiredRow[];
  complete: boolean;
  readAtMs: number;
};

/** Every enrolled host by id: names in the record are of hosts that left the active list too. */
export const allRows = ({ rows, expired }: Pick<Fleet, "rows" | "expired">): readonly FleetRow[] =>
  expired.length === 0 ? rows : [...rows, ...expired].sort((a, b) => (a.assetId < b.assetId ? -1 : 1));

/** What every asset holds, read at that time. */
export type Holdings = { holdings: readonly FleetHolding[]; complete: boolean; readAtMs: number };

/** The fleet in numbers as of `atMs`, and its hours before, oldest first. */
export type FleetNumbers = {
  counts: FleetCounts;
  atMs: number;
  complete: boolean;
  hours: readonly FleetHourItem[];
};

export type Fleets = {
  /** Every asset of the tenant, for filtering and lists. */
  of(tenantId: string, background: Background): Promise<Fleet>;
  /** Its numbers; on a node that has read nothing yet those the worker counted last, with their age. */
  numbersOf(tenantId: string, background: Background): Promise<FleetNumbers>;
  /** What every asset holds: models with their facts, clients. */
  holdingsOf(tenantId: string, background: Background): Promise<Holdings>;
  /** Incidents that were resolved, on the same terms. */
  resolvedOf(tenantId: string, background: Background): Promise<Resolved>;
};

/** A fleet up to this size is read at once: it takes no longer than a page may. */
const SMALL_HOSTS_MAX = 300;
/** Numbers the worker counted longer ago than this say less than waiting does. */
const COUNTED_MS_MAX = 2 * 3600_000;
const HISTORY_FRESH_MS = 30_000;

/** The fleet of a tenant in pictures of different detail: see {@link createPictures} for how old they may be. */
export function createFleets(deps: Deps): Fleets {
  const fleets = createPictures(deps, async (tenantId): Promise<Fleet> => {
    const readAtMs = deps.clock();
    return { ...(await readFleet(deps, tenantId, readExpiryDays(deps, tenantId))), readAtMs };
  });
  const holdings = createPictures(deps, async (tenantId): Promise<Holdings> => {
    const readAtMs = deps.clock();
    return { ...(await readHoldings(deps, tenantId)), readAtMs };
  });
  const resolved = createPictures(deps, (tenantId) => readResolved(deps, tenantId));
  const histories = new Map<string, { history: FleetHistory; readAtMs: number }>();
  const counted = new WeakMap<Fleet, FleetCounts>();

  async function historyOf(tenantId: string): Promise<FleetHistory> {
    const known = histories.get(tenantId);
    if (known && deps.clock() - known.readAtMs < HISTORY_FRESH_MS) return known.history;
    const history = await readFleetHistory(deps, tenantId);
    keepNewest(histories, tenantId, { history, readAtMs: deps.clock() });
    return history;
  }

  function countsOf(fleet: Fleet): FleetCounts {
    const known = counted.get(fleet);
    // Who is silent changes without a heartbeat: the picture of a small fleet is counted each time.
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
        fleets.begin(tenantId, background);
        return { counts: summary.counts, atMs, complete: true, hours };
      }
    }
    const fleet = await fleets.of(tenantId, background);
    return { counts: countsOf(fleet), atMs: fleet.readAtMs, complete: fleet.complete, hours };
  }

  return { of: fleets.of, holdingsOf: holdings.of, resolvedOf: resolved.of, numbersOf };
}

export type FleetFilter = {
  state?: Reporting | "unseen" | "isolated" | "collectors" | "ai" | "expired" | "all" | undefined;
  engine?: string | undefined;
  model?: string | undefined;
  client?: string | undefined;
  employee?: string | undefined;
  q?: string | undefined;
};

/** Every other state is of the active list alone. */
export const lifecycleOf = ({ state }: FleetFilter): Lifecycle =>
  state === "expired" || state === "all" ? state : "active";

export const isFiltered = (filter: FleetFilter): boolean =>
  Object.values(filter).some((value) => value !== undefined);

/** What a filter looks at: of a row of the picture, and of an asset read whole. */
type Filtered = Omit<FleetRow, "presence"> & {
  presence?: Omit<NonNullable<FleetRow["presence"]>, "assetId">;
};

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
  // Whoever calls has chosen the rows by lifecycleOf().
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
  /** Kind of an engine by its id. */
  kindOf: ReadonlyMap<string, string>;
  withEngine: ReadonlyMap<string, FleetRow[]>;
  withModel: ReadonlyMap<string, FleetRow[]>;
  withClient: ReadonlyMap<string, FleetRow[]>;
};

const inventories = new WeakMap<readonly FleetRow[], Inventory>();

/** What runs where, counted once for each picture of the fleet and not for each page that shows it. */
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
