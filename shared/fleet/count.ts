import { type FleetCounts, RANKED_MAX, type Ranked } from "../table/items/fleet.ts";
import type { FleetRow } from "./read-fleet.ts";
import { reportingOf } from "./reporting.ts";

export type Counted = { key: string; name: string; hosts: number };

/** Number of hosts per engine (or model), highest first. A host is counted once per engine. */
export function countHosts(
  rows: readonly FleetRow[],
  pick: (row: FleetRow) => { key: string; name: string }[],
): Counted[] {
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

const named = (names: readonly string[] | undefined) => (names ?? []).map((name) => ({ key: name, name }));

export const enginesOf = (row: FleetRow) =>
  (row.presence?.engines ?? []).map(({ id, name }) => ({ key: id, name }));
export const modelsOf = (row: FleetRow) => named(row.presence?.models);
export const clientsOf = (row: FleetRow) => named(row.presence?.clients);
const agentVersionsOf = ({ presence }: FleetRow) => named(presence && [presence.agentVersion]);
export const kindsOf = (row: FleetRow) => named(row.presence?.engines.map(({ kind }) => kind));

export const hasFailedSources = ({ presence }: Pick<FleetRow, "presence">): boolean =>
  (presence?.failedCollectors.length ?? 0) > 0;
export const hasAi = ({ presence }: Pick<FleetRow, "presence">): boolean =>
  (presence?.engines.length ?? 0) > 0;

const ranked = (all: readonly Counted[]): Ranked => ({ total: all.length, first: all.slice(0, RANKED_MAX) });

/**
 * Counts of the active list. Edge and worker compute them in the same way. `expired` is the number of hosts
 * that left the list.
 */
export function countFleet(rows: readonly FleetRow[], nowMs: number, expired = 0): FleetCounts {
  const by = { reporting: 0, silent: 0, never: 0 };
  for (const { presence } of rows) by[reportingOf(presence, nowMs)]++;
  return {
    hosts: rows.length,
    ...by,
    expired,
    withAi: rows.filter(hasAi).length,
    withFailedSources: rows.filter(hasFailedSources).length,
    kinds: countHosts(rows, kindsOf).length,
    engines: ranked(countHosts(rows, enginesOf)),
    models: ranked(countHosts(rows, modelsOf)),
    clients: ranked(countHosts(rows, clientsOf)),
    agentVersions: ranked(countHosts(rows, agentVersionsOf)),
  };
}
