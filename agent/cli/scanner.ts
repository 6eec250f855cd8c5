import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { CatalogEntry } from "../catalog/entry.ts";
import { systemReaders } from "../collect/system.ts";
import { createScanner, type Scanner } from "../scan.ts";
import { homesInPasswd } from "./accounts.ts";
import type { Machine } from "./machine.ts";

/** `entries` are what to look for. */
export function scannerOf(machine: Machine, entries: readonly CatalogEntry[]): Scanner {
  return createScanner(
    systemReaders({
      catalogue: entries,
      platform: machine.platform,
      procRoot: "/proc",
      selfPid: machine.pid,
      homes: machine.isRoot ? allHomes(machine) : [machine.home],
      clock: machine.clock,
      elapsed: machine.elapsed,
    }),
  );
}

/** Homes of the people of this host: where models lie. Only root can look into all of them. */
function allHomes(machine: Machine): string[] {
  try {
    if (machine.platform === "linux") return homesInPasswd(readFileSync("/etc/passwd", "utf8"));
    const root =
      machine.platform === "win32" ? join(machine.env.SystemDrive ?? "C:", "\\", "Users") : "/Users";
    const named = readdirSync(root, { withFileTypes: true }).filter((entry) => entry.isDirectory());
    return [...new Set([machine.home, ...named.map((entry) => join(root, entry.name))])];
  } catch {
    return [machine.home];
  }
}
