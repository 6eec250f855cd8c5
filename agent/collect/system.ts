import { isDeepStrictEqual } from "node:util";
import type { Clock } from "../../shared/clock.ts";
import type { CatalogEntry } from "../catalog/entry.ts";
import { catalogue as builtIn } from "../catalog/list.ts";
import { REFRESH_MS } from "./at-rest.ts";
import { libraryFilter } from "./claims.ts";
import { darwinHost } from "./darwin.ts";
import { type Files, realFiles } from "./files.ts";
import type { Host } from "./host.ts";
import { linuxHost } from "./linux.ts";
import { createNamespaces, type Namespaces, noNamespaces } from "./namespaces.ts";
import { createProbe, PROBE_LIMITS, type Probe } from "./probe.ts";
import { type Run, runTool } from "./run.ts";
import { openSocketDiag } from "./sock-diag.ts";
import { unsupportedHost } from "./unsupported.ts";
import { windowsHost } from "./windows.ts";

/** What the entry file knows about this machine. */
export type SystemOptions = {
  /** `process.platform`. */
  platform: string;
  /** What is looked for; by default what this agent was built with. */
  catalogue?: readonly CatalogEntry[];
  /** Where procfs is mounted (Linux); tests point it at a captured tree. */
  procRoot: string;
  /** Never probed and never reported. */
  selfPid: number;
  /** Lists the home directories to look for models in and to shorten to `~`; those of all people. */
  homes: () => readonly string[];
  clock: Clock;
  /** Milliseconds of a clock that never goes back (`performance.now`). */
  elapsed: () => number;
};

/** Everything a scanner asks of the world. */
export type SystemReaders = {
  host: Host;
  files: Files;
  probe: Probe;
  catalogue: readonly CatalogEntry[];
  selfPid: number;
  /** The longest first; the same list as before while nobody moved in or out. */
  homes: () => readonly string[];
  elapsed: () => number;
};

type Shared = SystemOptions & {
  files: Files;
  run: Run;
  namespaces: Namespaces;
  isLibraryWanted: (path: string) => boolean;
};

const HOSTS: Record<string, (shared: Shared) => Host> = {
  linux: (shared) => linuxHost({ ...shared, sysRoot: "/sys", diag: openSocketDiag() }),
  darwin: darwinHost,
  win32: windowsHost,
};

/** The readers of this platform. Where a source does not exist they say `unsupported` instead of failing. */
export function systemReaders(options: SystemOptions): SystemReaders {
  const files = realFiles();
  const { catalogue = builtIn } = options;
  const namespaces = options.platform === "linux" ? createNamespaces(stranded) : noNamespaces;
  const shared = { ...options, files, run: runTool, namespaces, isLibraryWanted: libraryFilter(catalogue) };
  const host = (HOSTS[options.platform] ?? unsupportedHost)(shared);
  return {
    host,
    files,
    probe: createProbe(PROBE_LIMITS.TIMEOUT_MS, namespaces),
    catalogue,
    selfPid: options.selfPid,
    homes: createHomes(options),
    elapsed: options.elapsed,
  };
}

/** People move in while a daemon runs for months. Listed as often as the disks are looked at. */
function createHomes({ homes, elapsed }: Pick<SystemOptions, "homes" | "elapsed">): () => readonly string[] {
  let known: readonly string[] = [];
  let nextAtMs = Number.NEGATIVE_INFINITY;
  return () => {
    if (elapsed() < nextAtMs) return known;
    nextAtMs = elapsed() + REFRESH_MS;
    // One may lie below another that is nobody's: /home/example.com/ada.
    const now = [...new Set(homes())].sort((a, b) => b.length - a.length);
    if (!isDeepStrictEqual(now, known)) known = now;
    return known;
  };
}

/** An agent outside its own network would report to nobody, or to somebody else: its supervisor starts it anew. */
function stranded(): never {
  process.stderr.write("lz-agent: the way back from another network namespace failed\n");
  process.exit(1);
}
