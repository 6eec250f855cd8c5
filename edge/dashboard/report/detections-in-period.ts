import type { TelemetryChange } from "../../../shared/table/items/asset/telemetry.ts";
import { listTimeline } from "../../control/assets/asset-timeline.ts";
import type { AssetView } from "../../control/assets/asset-view.ts";
import type { DashboardDeps } from "../deps.ts";

/** The first and the last day of the period in UTC (`YYYY-MM-DD`). Both days are included. */
export type Period = { from: string; to: string };

/** Maximum number of timelines that one report reads. Each timeline needs at least one query while the page waits. */
const REPORT_TIMELINES_MAX = 2000;
/**
 * Maximum number of states that one report reads for each host, newest first. {@link REPORT_STATES_MAX} also
 * limits the total number of states.
 */
export const REPORT_STATES_PER_HOST_MAX = 400;
const REPORT_STATES_MAX = 40_000;
const PAGE_STATES = 100;
const AT_ONCE = 16;

/** An engine or a model, with the number of hosts and employees that had it in the period. */
export type Detected = {
  id: string;
  name: string;
  kind?: string;
  hosts: number;
  employees: number;
  /** Time of the first detection within the period. */
  firstSeenAt: string;
  lastSeenAt: string;
};

export type Found = {
  /** Number of hosts with a recorded state in the period. */
  hostsSeen: number;
  hostsWithAi: number;
  employeesWithAi: number;
  engines: Detected[];
  /** Models that were in memory during the period. */
  models: Detected[];
  /**
   * Number of hosts whose timeline was not read. For these hosts, only the newest state is included, and only
   * if it began before the end of the period.
   */
  unread: number;
  /** Number of hosts for which only the newest {@link REPORT_STATES_PER_HOST_MAX} states of the period were read. */
  cut: number;
};

type Named = { id: string; name: string; kind?: string };
/** Engines and models on a host from `since` to `until`. Both times are within the period. */
type Sighting = { since: string; until: string; engines: readonly Named[]; models: readonly Named[] };

export type Limits = { timelines: number; states: number; statesPerHost: number };
const LIMITS: Limits = {
  timelines: REPORT_TIMELINES_MAX,
  states: REPORT_STATES_MAX,
  statesPerHost: REPORT_STATES_PER_HOST_MAX,
};

const startOf = ({ from }: Period): string => `${from}T00:00:00.000Z`;
const endOf = ({ to }: Period): string => `${to}T23:59:59.999Z`;
const earlier = (a: string, b: string): string => (a < b ? a : b);
const later = (a: string, b: string): string => (a > b ? a : b);

/**
 * Counts the AI in all states of a period, including the state in force when the period began. If the state
 * of a host has not changed since then, the presence item is enough. For other hosts, reads the timeline.
 * Reads hosts whose newest state began after the period first.
 */
export async function findInPeriod(
  deps: DashboardDeps,
  tenantId: string,
  assets: readonly AssetView[],
  period: Period,
  limits = LIMITS,
): Promise<Found> {
  const [start, end] = [startOf(period), endOf(period)];
  const seen = assets.filter(({ presence }) => presence && presence.lastSeenAt >= start);
  const tallies = createTallies();
  const changed: AssetView[] = [];
  for (const asset of seen) {
    if (asset.presence!.stateSince <= start) tallies.add(asset, newestOf(asset, start, end));
    else changed.push(asset);
  }
  const isLate = ({ presence }: AssetView) => presence!.stateAt > end;
  changed.sort((a, b) => Number(isLate(b)) - Number(isLate(a)));
  let [states, cut, next] = [0, 0, 0];
  while (next < Math.min(changed.length, limits.timelines) && states < limits.states) {
    const some = changed.slice(next, Math.min(next + AT_ONCE, limits.timelines));
    const read = await Promise.all(
      some.map((asset) => statesIn(deps, tenantId, asset.assetId, { start, end, max: limits.statesPerHost })),
    );
    for (const [index, { items, isWhole }] of read.entries()) {
      states += items.length;
      if (!isWhole) cut++;
      tallies.add(some[index]!, sightingsIn(items, some[index]!, start, end));
    }
    next += some.length;
  }
  const unread = changed.slice(next);
  for (const asset of unread) tallies.add(asset, newestOf(asset, start, end));
  return { ...tallies.found(), unread: unread.length, cut };
}

/** Reads the states of the period and the state that was in force when the period began, newest first. */
async function statesIn(
  deps: DashboardDeps,
  tenantId: string,
  assetId: string,
  { start, end, max }: { start: string; end: string; max: number },
): Promise<{ items: TelemetryChange[]; isWhole: boolean }> {
  const items: TelemetryChange[] = [];
  let from: string | undefined;
  do {
    const limit = Math.min(PAGE_STATES, max - items.length);
    const more = { limit, until: end, ...(from !== undefined && { from }) };
    const page = await listTimeline(deps, tenantId, assetId, more);
    const older = page.items.findIndex(({ at }) => at <= start);
    if (older !== -1) return { items: [...items, ...page.items.slice(0, older + 1)], isWhole: true };
    items.push(...page.items);
    from = page.cursor;
  } while (from !== undefined && items.length < max);
  return { items, isWhole: from === undefined };
}

/**
 * Converts states to sightings. A state lasts until the next state begins. The newest state lasts until the
 * last heartbeat.
 */
function sightingsIn(
  states: readonly TelemetryChange[],
  { presence }: AssetView,
  start: string,
  end: string,
): Sighting[] {
  return states.map(({ at, engines }, index) => {
    const until = states[index - 1]?.at ?? (presence!.stateAt > end ? end : presence!.lastSeenAt);
    const loaded = engines.flatMap(({ models }) => models.filter((model) => model.loaded));
    return {
      since: later(at, start),
      until: earlier(later(until, at), end),
      engines,
      models: loaded.map(({ name }) => ({ id: name, name })),
    };
  });
}

/**
 * Returns the sighting of the newest state, from the presence item. The result is empty if this state began
 * after the period.
 */
function newestOf({ presence }: AssetView, start: string, end: string): Sighting[] {
  const { stateSince, lastSeenAt, engines, models } = presence!;
  if (stateSince > end) return [];
  return [
    {
      since: later(stateSince, start),
      until: earlier(lastSeenAt, end),
      engines,
      models: models.map((name) => ({ id: name, name })),
    },
  ];
}

type Tally = Named & { assets: Set<string>; employees: Set<string>; firstSeenAt: string; lastSeenAt: string };

/** Collects sightings, and counts the hosts and employees for each engine and model. */
function createTallies() {
  const [engines, models] = [new Map<string, Tally>(), new Map<string, Tally>()];
  const withAi = new Set<string>();
  let [hostsSeen, hostsWithAi] = [0, 0];
  return {
    add({ assetId, employeeId }: AssetView, sightings: readonly Sighting[]): void {
      if (sightings.length === 0) return;
      hostsSeen++;
      if (sightings.some((state) => state.engines.length > 0)) {
        hostsWithAi++;
        withAi.add(employeeId);
      }
      for (const state of sightings) {
        for (const one of state.engines) note(engines, one, state, assetId, employeeId);
        for (const one of state.models) note(models, one, state, assetId, employeeId);
      }
    },
    found: () => ({
      hostsSeen,
      hostsWithAi,
      employeesWithAi: withAi.size,
      engines: counted(engines),
      models: counted(models),
    }),
  };
}

function note(
  tallies: Map<string, Tally>,
  { id, name, kind }: Named,
  { since, until }: Sighting,
  assetId: string,
  employeeId: string,
): void {
  const one = tallies.get(id) ?? {
    ...{ id, name, ...(kind !== undefined && { kind }) },
    ...{ assets: new Set<string>(), employees: new Set<string>(), firstSeenAt: since, lastSeenAt: until },
  };
  one.assets.add(assetId);
  one.employees.add(employeeId);
  one.firstSeenAt = earlier(one.firstSeenAt, since);
  one.lastSeenAt = later(one.lastSeenAt, until);
  tallies.set(id, one);
}

const counted = (tallies: ReadonlyMap<string, Tally>): Detected[] =>
  [...tallies.values()]
    .map(({ assets, employees, ...one }) => ({ ...one, hosts: assets.size, employees: employees.size }))
    .sort((a, b) => b.hosts - a.hosts || (a.name < b.name ? -1 : 1));
