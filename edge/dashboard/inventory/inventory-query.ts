import { z } from "zod";
import type { Counted } from "../../../shared/fleet/count.ts";
import { kindName } from "../assets/engines.tsx";
import { textMatcher } from "../components/list-paging.tsx";
import type { Fleet, Holdings } from "../overview/fleet-cache.ts";
import type { FleetModel } from "./fleet-models.ts";

/** Functions that read cached data about the fleet. */
export type FleetReads = {
  fleetOf: (tenantId: string) => Promise<Fleet>;
  holdingsOf: (tenantId: string) => Promise<Holdings>;
};

const blank = z.literal("").transform(() => undefined);
const lastShown = z.string().max(200).optional();
export const inventoryQuery = z.object({
  q: blank.or(z.string().max(200)).optional(),
  /** Key of the last row on the previous page, for each of the three lists. */
  afterModel: lastShown,
  afterEngine: lastShown,
  afterClient: lastShown,
});
export type InventoryQuery = z.infer<typeof inventoryQuery>;

/** Returns the models whose name, licence, quantisation or publisher matches the text. */
export const modelsMatching = (models: readonly FleetModel[], q: string | undefined): FleetModel[] => {
  const matches = textMatcher(q);
  return models.filter(({ name, licences, quantisations, publishers }) =>
    matches([name, ...licences, ...quantisations, ...publishers]),
  );
};
/** Returns the engines or clients whose name, id or kind matches the text. */
export const entriesMatching = (
  entries: readonly Counted[],
  q: string | undefined,
  kindOf?: ReadonlyMap<string, string>,
): Counted[] => {
  const matches = textMatcher(q);
  return entries.filter(({ key, name }) => matches([name, key, kindOf && kindName(kindOf.get(key) ?? "")]));
};
