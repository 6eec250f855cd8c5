import type { Collector } from "../../shared/wire/heartbeat.ts";
import { tidy } from "../../shared/wire/text.ts";
import { catalogue as entries, catalogueVersion as version } from "../catalogue/engines/list.ts";
import { type Catalogue, readCatalogue } from "../daemon/catalogue-update.ts";
import { loadIdentity } from "../identity/device-identity.ts";
import { StateFault } from "../platform/state-files.ts";
import type { Machine } from "./machine.ts";

export const BUILT_IN: Catalogue = { version, entries };

/**
 * What a single look at this host scans with: the catalogue that the daemon took last, by the same checks, else the
 * one built in. The collector says which, and why not the other.
 */
export async function catalogueOf(
  machine: Pick<Machine, "clock">,
  directory: string,
): Promise<{ catalogue: Catalogue; collector: Collector }> {
  const said = (catalogue: Catalogue, status: "ok" | "partial", detail: string) => ({
    catalogue,
    collector: { name: "catalogue", status, detail: tidy(`${catalogue.version}, ${detail}`, 240) },
  });
  try {
    const identity = loadIdentity(directory);
    if (!identity) return said(BUILT_IN, "ok", "built in");
    const kept = await readCatalogue({
      directory,
      pins: () => identity.jwks,
      builtIn: BUILT_IN,
      clock: machine.clock,
      pause: async () => {},
    });
    if (kept.is === "taken") return said(kept.catalogue, "ok", "of the control plane");
    if (kept.is === "none" || kept.is === "older") return said(BUILT_IN, "ok", "built in");
    return said(BUILT_IN, "partial", `built in; the stored one is not used: ${kept.reason}`);
  } catch (cause) {
    if (!(cause instanceof StateFault)) throw cause;
    return said(BUILT_IN, "partial", `built in; the state directory could not be read: ${cause.message}`);
  }
}
