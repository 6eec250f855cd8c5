import { isDeepStrictEqual } from "node:util";
import type { Clock } from "../../../shared/time/clock.ts";
import { catalogue as builtIn } from "../../catalogue/engines/list.ts";
import type { CatalogEntry } from "../../catalogue/entry.ts";
import { libraryFilter } from "../identify/process-claims.ts";
import { createNamespaces, type Namespaces, noNamespaces } from "../network/namespaces.ts";
import { openSocketDiag } from "../network/sock-diag.ts";
import { createProbe, PROBE_LIMITS, type Probe } from "../probe/probe.ts";
import { createReader, type Reader, readerCommand } from "../reader/file-reader.ts";
import { type Directories, directoriesBy, REFRESH_MS } from "../stores/models-on-disk.ts";
import { createMovedStores, type MovedStores } from "../stores/moved-stores.ts";
import { type Files, realFiles } from "../system/files.ts";
import type { Host } from "../system/host.ts";
import { memoryDevice } from "../system/memory-device.ts";
import { createMounts, type Mounts } from "../system/mounts.ts";
import { type Run, runTool } from "../system/run-tool.ts";
import { createUnixProbe } from "../unix/unix-probe.ts";
import { darwinHost } from "./darwin.ts";
import { linuxHost } from "./linux.ts";
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
  /**
   * Lists the home directories to look for models in and to shorten to `~`; those of all people. `listHome` lists what
   * may belong to a user: nothing at first, and then what the reader process answered.
   */
  homes: (list: (path: string) => string[], listHome: (path: string) => string[]) => readonly string[];
  clock: Clock;
  /** Milliseconds of a clock that never goes back (`performance.now`). */
  elapsed: () => number;
  /** Processor time of this process, milliseconds; by default that of the process that runs this. */
  cpuMs?: () => number;
};

/** Everything a scanner asks of the world. */
export type SystemReaders = {
  host: Host;
  files: Files;
  reader: Reader;
  directories: Directories;
  moved?: MovedStores;
  probe: Probe;
  catalogue: readonly CatalogEntry[];
  selfPid: number;
  /** The longest first; the same list as before while nobody moved in or out. */
  homes: () => readonly string[];
  elapsed: () => number;
  cpuMs: () => number;
};

type Shared = SystemOptions & {
  files: Files;
  cpuMs: () => number;
  mounts: Mounts;
  reader: Reader;
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
  const cpuMs = options.cpuMs ?? processorMs;
  const mounts = createMounts({ ...options, files, memoryDevice: memoryDevice(options.platform) });
  const reader = createReader({ ...options, files, command: readerCommand() });
  const isLibraryWanted = libraryFilter(catalogue);
  const shared = { ...options, files, cpuMs, mounts, reader, run: runTool, namespaces, isLibraryWanted };
  const homes = createHomes({ ...options, files, mounts, reader });
  const host = (HOSTS[options.platform] ?? unsupportedHost)(shared);
  return {
    host,
    files,
    reader,
    directories: directoriesBy(reader),
    probe: createProbe(PROBE_LIMITS.TIMEOUT_MS, namespaces, createUnixProbe(reader)),
    catalogue,
    selfPid: options.selfPid,
    homes,
    moved: createMovedStores({ ...options, reader, homes }),
    elapsed: options.elapsed,
    cpuMs,
  };
}

const processorMs = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};

/** Names of a directory with homes, or of a home: what a pipe takes without effort. */
const NAMES_MAX = 10_000;

/** People move in while a daemon runs for months. Listed as often as the disks are looked at. */
function createHomes(
  deps: Pick<SystemOptions, "homes" | "elapsed" | "platform"> & {
    files: Files;
    mounts: Mounts;
    reader: Reader;
  },
): () => readonly string[] {
  const { elapsed, files, mounts, reader } = deps;
  let known: readonly string[] = [];
  let nextAtMs = Number.NEGATIVE_INFINITY;
  /** Directories on a file system that may not answer, by the last answer. */
  const remote = new Map<string, readonly string[]>();
  const list = (path: string): string[] => {
    if (deps.platform !== "linux" || mounts.ofPath(path).class === "local") return files.list(path);
    return listLater(path);
  };
  const listLater = (path: string): string[] => {
    const before = remote.get(path);
    void reader.ask({ op: "list", path, namesMax: NAMES_MAX }, path).then((outcome) => {
      const names = "value" in outcome ? outcome.value : (before ?? []);
      // Those who were not known are looked at soon.
      if (!isDeepStrictEqual(names, before)) nextAtMs = elapsed();
      remote.set(path, names);
    });
    return [...(before ?? [])];
  };
  return () => {
    if (elapsed() < nextAtMs) return known;
    nextAtMs = elapsed() + REFRESH_MS;
    // One may lie below another that is nobody's: /home/example.com/ada.
    const now = [...new Set(deps.homes(list, listLater))].sort((a, b) => b.length - a.length);
    if (!isDeepStrictEqual(now, known)) known = now;
    return known;
  };
}

/** An agent outside its own network would report to nobody, or to somebody else: its supervisor starts it anew. */
function stranded(): never {
  process.stderr.write("lz-agent: the way back from another network namespace failed\n");
  process.exit(1);
}
