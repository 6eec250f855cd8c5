import type { TelemetryChange } from "../../../shared/table/items/asset/telemetry.ts";
import { listTimeline } from "../../control/assets/asset-timeline.ts";
import type { AssetView } from "../../control/assets/asset-view.ts";
import type { Deps } from "../../deps.ts";

/** Days, both included, in UTC. */
export type Period = { from: string; to: string };

/** Timelines one report reads; each is a query at least, and a page has to come back. */
export const REPORT_TIMELINES_MAX = 2000;
/** States it reads of one host, the newest of the period, and of all together. */
export const REPORT_STATES_PER_HOST_MAX = 400;
export const REPORT_STATES_MAX = 40_000;
const PAGE_STATES = 100;
const AT_ONCE = 16;

export type Counted = {
  id: string;
  name: string;
  kind?: string;
  hosts: number;
  employees: number;
  /** Within the period. */
  firstSeenAt: string;
  lastSeenAt: string;
};

export type Found = {
  /** Hosts with a recorded state in the period. */
  hostsSeen: number;
  hostsWithAi: number;
  employeesWithAi: number;
  engines: Counted[];
  /** Those that were in memory. */
  models: Counted[];
  /** Hosts whose state changed, of which the newest state alone was looked at, or none when it began too late. */
  unread: number;
  /** Hosts of which the newest {@link REPORT_STATES_PER_HOST_MAX} states of the period were looked at. */
  cut: number;
};

type Named = { id: string; name: string; kind?: string };
/** What ran on a host from one moment to another, both within the period. */
type Held = { since: string; until: string; engines: readonly Named[]; models: readonly Named[] };

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
 * The AI of a period: what ran in any state of it, the one in force when it began included. A state that has lasted
 * since before the period is told by the host's presence; of the other hosts the timeline is read, those first of
 * which the newest state says nothing.
 */
export async function findInPeriod(
  deps: Deps,
  tenantId: string,
  assets: readonly AssetView[],
  period: Period,
  limits = LIMITS,
): Promise<Found> {
  const [start, end] = [startOf(period), endOf(period)];
  const seen = assets.filter(({ presence }) => presence && presence.lastSeenAt >= start);
  const sum = createSum();
  const changed: AssetView[] = [];
  for (const asset of seen) {
    if (asset.presence!.stateSince <= start) sum.add(asset, newestOf(asset, start, end));
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
      sum.add(some[index]!, heldIn(items, some[index]!, start, end));
    }
    next += some.length;
  }
  const unread = changed.slice(next);
  for (const asset of unread) sum.add(asset, newestOf(asset, start, end));
  return { ...sum.found(), unread: unread.length, cut };
}

/** The states of the period and the one in force when it began, newest first. */
async function statesIn(
  deps: Deps,
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

/** A state is in force until the next one, the newest until the host was last heard of. */
function heldIn(
  states: readonly TelemetryChange[],
  { presence }: AssetView,
  start: string,
  end: string,
): Held[] {
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

/** What the host's presence tells of the period: nothing when its newest state began after it. */
function newestOf({ presence }: AssetView, start: string, end: string): Held[] {
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

type Sighting = Named & { on: Set<string>; of: Set<string>; firstSeenAt: string; lastSeenAt: string };

function createSum() {
  const [engines, models] = [new Map<string, Sighting>(), new Map<string, Sighting>()];
  const withAi = new Set<string>();
  let [hostsSeen, hostsWithAi] = [0, 0];
  return {
    add({ assetId, employeeId }: AssetView, held: readonly Held[]): void {
      if (held.length === 0) return;
      hostsSeen++;
      if (held.some((state) => state.engines.length > 0)) {
        hostsWithAi++;
        withAi.add(employeeId);
      }
      for (const state of held) {
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
  sightings: Map<string, Sighting>,
  { id, name, kind }: Named,
  { since, until }: Held,
  assetId: string,
  employeeId: string,
): void {
  const one = sightings.get(id) ?? {
    ...{ id, name, ...(kind !== undefined && { kind }) },
    ...{ on: new Set<string>(), of: new Set<string>(), firstSeenAt: since, lastSeenAt: until },
  };
  one.on.add(assetId);
  one.of.add(employeeId);
  one.firstSeenAt = earlier(one.firstSeenAt, since);
  one.lastSeenAt = later(one.lastSeenAt, until);
  sightings.set(id, one);
}

const counted = (sightings: ReadonlyMap<string, Sighting>): Counted[] =>
  [...sightings.values()]
    .map(({ on, of, ...one }) => ({ ...one, hosts: on.size, employees: of.size }))
    .sort((a, b) => b.hosts - a.hosts || (a.name < b.name ? -1 : 1));
