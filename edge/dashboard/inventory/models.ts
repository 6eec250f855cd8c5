import type { FleetHolding, FleetRow } from "../../../shared/fleet/read-fleet.ts";

/** One model on one host: as the engine there has it. */
export type Held = FleetHolding["models"][number] & { row: FleetRow };

/** A model over the fleet. Hosts that call different files by one name show as several licences, sizes, quantisations. */
export type FleetModel = {
  name: string;
  loaded: number;
  atRest: number;
  licences: string[];
  quantisations: string[];
  publishers: string[];
  sizes: number[];
  held: Held[];
};

/** Every model that any host holds, loaded or at rest; those on most hosts first. */
export function modelsOf(rows: readonly FleetRow[], holdings: readonly FleetHolding[]): FleetModel[] {
  const byId = new Map(rows.map((row) => [row.assetId, row]));
  const found = new Map<string, Held[]>();
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

function summed(name: string, held: Held[]): FleetModel {
  const hosts = (isLoaded: boolean) =>
    new Set(held.filter(({ loaded }) => loaded === isLoaded).map(({ row }) => row.assetId));
  const loaded = hosts(true);
  // A host that has it in memory too is not counted as having it at rest.
  const atRest = [...hosts(false)].filter((id) => !loaded.has(id));
  const distinct = (pick: (one: Held) => string | undefined) =>
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
