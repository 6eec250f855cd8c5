import { clientName } from "../../shared/fleet/client-name.ts";
import {
  INVENTORY_CLIENTS_MAX,
  INVENTORY_MODELS_MAX,
  type InventoryItem,
} from "../../shared/table/items/asset/inventory.ts";
import type { HeldModel } from "../../shared/wire/heartbeat.ts";
import type { Delivery } from "../heartbeat/parse-heartbeat.ts";

/** Inventory of a changed state, for lists of all hosts. It depends on the heartbeat alone. */
export function inventoryOf(delivery: Delivery, stateAt: string): InventoryItem {
  const { engines, stores = [] } = delivery.heartbeat();
  const models = [...engines, ...stores].flatMap(
    ({ id, models }: { id: string; models: readonly HeldModel[] }) =>
      models.map(({ name, loaded = false, sizeBytes, parameters, quantisation, licence, publisher }) => ({
        engine: id,
        name,
        loaded,
        ...(sizeBytes !== undefined && { sizeBytes }),
        ...(parameters !== undefined && { parameters }),
        ...(quantisation !== undefined && { quantisation }),
        ...(licence !== undefined && { licence }),
        ...(publisher !== undefined && { publisher }),
      })),
  );
  const clients = new Map(
    engines.flatMap(({ id, clients }) =>
      clients.map(clientName).map((name) => [`${id} ${name}`, { engine: id, name }] as const),
    ),
  );
  return {
    type: "Inventory",
    tenantId: delivery.tenantId,
    assetId: delivery.assetId,
    stateAt,
    models: models.sort((a, b) => Number(b.loaded) - Number(a.loaded)).slice(0, INVENTORY_MODELS_MAX),
    ...(models.length > INVENTORY_MODELS_MAX && { modelsLeft: models.length - INVENTORY_MODELS_MAX }),
    clients: [...clients.values()].slice(0, INVENTORY_CLIENTS_MAX),
  };
}
