import { z } from "zod";
import { catalogueVersion } from "../../shared/wire/catalog.ts";
import { catalogEntry } from "./entry.ts";

/** Maximum number of products in a catalogue. */
const ENTRIES_MAX = 1000;

/** A catalogue file. `bun run build:agent` writes it as JSON, and the control key signs it. */
export const catalogueDocument = z
  .strictObject({ version: catalogueVersion, entries: z.array(catalogEntry).min(1).max(ENTRIES_MAX) })
  .refine(
    ({ entries }) => new Set(entries.map(({ id }) => id)).size === entries.length,
    "a product is listed twice",
  );
