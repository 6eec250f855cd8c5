import { type FleetRow, readFleet } from "../admin/read.ts";
import type { Deps } from "../deps.ts";
import { type Reporting, reportingOf } from "./badges.tsx";

export type Fleet = { rows: readonly FleetRow[]; complete: boolean; readAtMs: number };

/** A picture younger than this is not taken again. */
const FRESH_MS = 1000;
/** A picture that took long is kept longer, so that a large fleet costs at most this share of the time. */
const READ_SHARE = 1 / 25;
/** Readings that take longer than this are done behind an older picture, up to the age below. */
const SLOW_MS = 80;
const BEHIND_MS_MAX = 60_000;
const TENANTS_MAX = 16;

type Kept = { fleet: Fleet; tookMs: number; startedAtMs: number };

/**
 * The whole fleet of a tenant, for counting and filtering. A small fleet is read again whenever it is asked for;
 * one that takes long to read is served from the last picture while the next one is taken.
 *
 * A request never awaits what another one started (workerd cancels that): it either has a picture or takes one.
 */
export function createFleet(deps: Deps) {
  const kept = new Map<string, Kept>();

  async function take(tenantId: string): Promise<Fleet> {
    const startedAtMs = deps.clock();
    const read = await readFleet(deps, tenantId);
    const fleet = { ...read, readAtMs: startedAtMs };
    kept.delete(tenantId);
    if (kept.size >= TENANTS_MAX) kept.delete(kept.keys().next().value!);
    kept.set(tenantId, { fleet, tookMs: deps.clock() - startedAtMs, startedAtMs });
    return fleet;
  }

  return async function fleetOf(tenantId: string): Promise<Fleet> {
    const last = kept.get(tenantId);
    if (!last) return take(tenantId);
    const now = deps.clock();
    if (now - last.startedAtMs < Math.max(FRESH_MS, last.tookMs / READ_SHARE)) return last.fleet;
    if (last.tookMs <= SLOW_MS || now - last.fleet.readAtMs > BEHIND_MS_MAX) return take(tenantId);
    last.startedAtMs = now; // one reader at a time; should it be lost, the next one starts after the same pause
    take(tenantId).catch((error: unknown) => deps.log("warn", "fleet.stale", { tenantId, error }));
    return last.fleet;
  };
}

export type FleetFilter = {
  state?: Reporting | "isolated" | "collectors" | "ai" | undefined;
  engine?: string | undefined;
  model?: string | undefined;
  employee?: string | undefined;
  q?: string | undefined;
};

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
  if (state === "isolated") return row.status === "ISOLATED";
  if (state === "collectors") return (row.presence?.failedCollectors.length ?? 0) > 0;
  if (state === "ai") return (row.presence?.engines.length ?? 0) > 0;
  return reportingOf(row.presence, now) === state;
}

export type Counted = { key: string; name: string; hosts: number };

/** How many hosts have each engine (or model), most first. One host counts once, however many it runs. */
export function countHosts(
  rows: readonly FleetRow[],
  pick: (row: FleetRow) => { key: string; name: string }[],
) {
  const counts = new Map<string, Counted>();
  for (const row of rows) {
    const once = new Map(pick(row).map((found) => [found.key, found]));
    for (const { key, name } of once.values()) {
      const counted = counts.get(key) ?? { key, name, hosts: 0 };
      counted.hosts++;
      counts.set(key, counted);
    }
  }
  return [...counts.values()].sort((a, b) => b.hosts - a.hosts || (a.name < b.name ? -1 : 1));
}

export const enginesOf = (row: FleetRow) =>
  (row.presence?.engines ?? []).map(({ id, name }) => ({ key: id, name }));
export const modelsOf = (row: FleetRow) => (row.presence?.models ?? []).map((name) => ({ key: name, name }));
export const kindsOf = (row: FleetRow) =>
  (row.presence?.engines ?? []).map(({ kind }) => ({ key: kind, name: kind }));

export type Inventory = {
  engines: Counted[];
  models: Counted[];
  kinds: Counted[];
  /** Kind of an engine by its id. */
  kindOf: ReadonlyMap<string, string>;
  withEngine: ReadonlyMap<string, FleetRow[]>;
  withModel: ReadonlyMap<string, FleetRow[]>;
};

const counted = new WeakMap<readonly FleetRow[], Inventory>();

/** What runs where, counted once for each picture of the fleet and not for each page that shows it. */
export function inventoryOf(rows: readonly FleetRow[]): Inventory {
  const known = counted.get(rows);
  if (known) return known;
  const inventory: Inventory = {
    engines: countHosts(rows, enginesOf),
    models: countHosts(rows, modelsOf),
    kinds: countHosts(rows, kindsOf),
    kindOf: new Map(rows.flatMap((row) => row.presence?.engines ?? []).map(({ id, kind }) => [id, kind])),
    withEngine: hostsBy(rows, enginesOf),
    withModel: hostsBy(rows, modelsOf),
  };
  counted.set(rows, inventory);
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

export type Coverage = Record<Reporting, number> & { total: number; collectors: FleetRow[]; withAi: number };

export function coverageOf(rows: readonly FleetRow[], now: number): Coverage {
  const coverage: Coverage = {
    reporting: 0,
    silent: 0,
    never: 0,
    total: rows.length,
    collectors: [],
    withAi: 0,
  };
  for (const row of rows) {
    coverage[reportingOf(row.presence, now)]++;
    if (isIn(row, "collectors", now)) coverage.collectors.push(row);
    if (isIn(row, "ai", now)) coverage.withAi++;
  }
  return coverage;
}
