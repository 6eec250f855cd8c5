import { z } from "zod";
import { assetId, slug, tenantId } from "../../../ids.ts";
import { model } from "../../../wire/heartbeat.ts";
import { isoTimestamp, text } from "../../../wire/text.ts";
import { count } from "../count.ts";

export const INVENTORY_MODELS_MAX = 64;
export const INVENTORY_CLIENTS_MAX = 32;

/**
 * Models and clients of an asset in its newest state, for fleet-wide lists. The inventory is separate from
 * the presence, because it is only written if it changed, and can be several kilobytes in size.
 */
export const inventoryItem = z.object({
  type: z.literal("Inventory"),
  tenantId,
  assetId,
  /** Timestamp in the key of the telemetry item from which the inventory was taken. */
  stateAt: isoTimestamp,
  /** Models. Loaded models come first. */
  models: z
    .array(
      z.object({
        ...model.pick({
          name: true,
          loaded: true,
          sizeBytes: true,
          parameters: true,
          quantisation: true,
          licence: true,
          publisher: true,
        }).shape,
        /** Engine that has the model, or product whose store contains the model. */
        engine: slug,
      }),
    )
    .max(INVENTORY_MODELS_MAX),
  /** Number of further models that are not in this list. Absent if the list is complete. */
  modelsLeft: count.optional(),
  /** Clients of engines by name. A client on another host has a generic name. */
  clients: z.array(z.object({ name: text(120), engine: slug })).max(INVENTORY_CLIENTS_MAX),
});
export type InventoryItem = z.infer<typeof inventoryItem>;
