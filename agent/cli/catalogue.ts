import type { Collector } from "../../shared/wire/heartbeat.ts";
import { tidy } from "../../shared/wire/text.ts";
import { catalogue as entries, catalogueVersion as version } from "../catalogue/engines/list.ts";
import { type Catalogue, readCatalogue } from "../daemon/catalogue-update.ts";
import { loadIdentity } from "../identity/device-identity.ts";
import { StateFault } from "../platform/state-files.ts";
import type { Machine } from "./machine.ts";

export const BUILT_IN: Catalogue = { version, entries };

/**
 * The catalogue for a single scan (`scan`, `explain`). Returns the catalogue that the daemon stored last, if
 * it passes the same checks, and otherwise the built-in one. A collector in the result names the catalogue in
 * use. If the stored catalogue was rejected, the collector also says why.
 */
export async function catalogueOf(
  machine: Pick<Machine, "clock">,
  directory: string,
): Promise<{ catalogue: Catalogue; collector: Collector }> {
  const withCollector = (catalogue: Catalogue, status: "ok" | "partial", detail: string) => ({
    catalogue,
    collector: { name: "catalogue", status, detail: tidy(`${catalogue.version}, ${detail}`, 240) },
  });
  try {
    const identity = loadIdentity(directory);
    if (!identity) return withCollector(BUILT_IN, "ok", "built in");
    const kept = await readCatalogue({
      directory,
      pins: () => identity.jwks,
      builtIn: BUILT_IN,
      clock: machine.clock,
      pause: async () => {},
    });
    if (kept.is === "taken") return withCollector(kept.catalogue, "ok", "of the control plane");
    if (kept.is === "none" || kept.is === "older") return withCollector(BUILT_IN, "ok", "built in");
    return withCollector(BUILT_IN, "partial", `built in; the stored catalogue is not used: ${kept.reason}`);
  } catch (cause) {
    if (!(cause instanceof StateFault)) throw cause;
    return withCollector(
      BUILT_IN,
      "partial",
      `built in; the state directory could not be read: ${cause.message}`,
    );
  }
}
