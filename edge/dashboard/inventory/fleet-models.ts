import type { FleetHolding, FleetRow } from "../../../shared/fleet/read-fleet.ts";

/** One copy of a model, with its engine, its host and its details. */
export type HeldModel = FleetHolding["models"][number] & { row: FleetRow };

/**
 * A model across the fleet. Files with the same name can differ, so a model may have several licences, sizes
 * and quantisations.
 */
export type FleetModel = {
  name: string;
  /** Number of hosts that have the model in memory. */
  loaded: number;
  /** Number of hosts that have the model on disk only. */
  atRest: number;
  licences: string[];
  quantisations: string[];
  publishers: string[];
  sizes: number[];
  held: HeldModel[];
};

/** All models of the fleet, in memory or on disk. Models on the most hosts come first. */
export function modelsOf(rows: readonly FleetRow[], holdings: readonly FleetHolding[]): FleetModel[] {
  const byId = new Map(rows.map((row) => [row.assetId, row]));
  const found = new Map<string, HeldModel[]>();
  for (const { assetId, models } of holdings) {
    const row = byId.get(assetId);
    if (!row) continue;
    for (const model of models) {
      const held = found.get(model.name);
      if (held) held.push({ ...model, row });
      else found.set(model.name, [{ ...model, row }]);
    }
  }
  return [...found].map(([name, held]) => summed(name, held)).sort(byHosts);
}

const byHosts = (a: FleetModel, b: FleetModel): number =>
  b.loaded + b.atRest - (a.loaded + a.atRest) || (a.name < b.name ? -1 : 1);

function summed(name: string, held: HeldModel[]): FleetModel {
  const hosts = (isLoaded: boolean) =>
    new Set(held.filter(({ loaded }) => loaded === isLoaded).map(({ row }) => row.assetId));
  const loaded = hosts(true);
  // Count a host only once if it has the model both in memory and on disk.
  const atRest = [...hosts(false)].filter((id) => !loaded.has(id));
  const distinct = (pick: (one: HeldModel) => string | undefined) =>
    [...new Set(held.flatMap((one) => pick(one) ?? []))].sort();
  return {
    name,
    loaded: loaded.size,
    atRest: atRest.length,
    licences: distinct(({ licence }) => licence),
    quantisations: distinct(({ quantisation }) => quantisation),
    publishers: distinct(({ publisher }) => publisher),
    sizes: [...new Set(held.flatMap(({ sizeBytes }) => sizeBytes ?? []))].sort((a, b) => a - b),
    held,
  };
}
