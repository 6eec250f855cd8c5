import { z } from "zod";
import { assetId, slug, tenantId } from "../../../ids.ts";
import { model } from "../../../wire/heartbeat.ts";
import { isoTimestamp, text } from "../../../wire/text.ts";
import { count } from "../count.ts";

export const INVENTORY_MODELS_MAX = 64;
export const INVENTORY_CLIENTS_MAX = 32;

/**
 * What an asset holds and who uses it there, in its newest state: the part of the state that lists over the whole
 * fleet are made of. Apart from presence, for it is written on a change only and may be some kilobytes.
 */
export const inventoryItem = z.object({
  type: z.literal("Inventory"),
  tenantId,
  assetId,
  /** Timestamp in the key of the telemetry item it was taken from. */
  stateAt: isoTimestamp,
  /** Loaded ones first. */
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
        /** Or whose store it lies in, while it does not run. */
        engine: slug,
      }),
    )
    .max(INVENTORY_MODELS_MAX),
  /** How many more there are that are not listed. Absent: none. */
  modelsLeft: count.optional(),
  /** Programs that feed an engine, by name; a peer on another host has none of its own. */
  clients: z.array(z.object({ name: text(120), engine: slug })).max(INVENTORY_CLIENTS_MAX),
});
export type InventoryItem = z.infer<typeof inventoryItem>;
