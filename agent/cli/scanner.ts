import { readFileSync } from "node:fs";
import type { CatalogEntry } from "../catalogue/entry.ts";
import { systemReaders } from "../scan/platform/system-readers.ts";
import { createScanner, type Scanner, type ScannerOptions } from "../scan/scan.ts";
import { homesOfPeople } from "./accounts.ts";
import type { Machine } from "./machine.ts";

/** Creates a scanner of this host that looks for the products in the catalogue `entries`. */
export function scannerOf(
  machine: Machine,
  entries: readonly CatalogEntry[],
  options?: ScannerOptions,
): Scanner {
  return createScanner(
    systemReaders({
      catalogue: entries,
      platform: machine.platform,
      procRoot: "/proc",
      selfPid: machine.pid,
      homes: (list, listHome) =>
        homesOfPeople(machine, {
          list,
          listHome,
          text: (path) => readFileSync(path, "utf8"),
        }),
      clock: machine.clock,
      elapsed: machine.elapsed,
      cpuMs: machine.cpuMs,
    }),
    options,
  );
}
