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
import { MovedStores } from "../stores/moved-stores.ts";
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

/** Options for the system readers of this machine. The entry file sets them. */
export type SystemOptions = {
  /** Value of `process.platform`. */
  platform: string;
  /** Products to detect. Default: the built-in catalogue. */
  catalogue?: readonly CatalogEntry[];
  /** Mount point of procfs (Linux). Tests use a directory of captured files. */
  procRoot: string;
  /** Pid of the agent, which a scan neither probes nor reports. */
  selfPid: number;
  /**
   * Returns the home directories of all users. The agent searches these directories for models, and shortens
   * their paths to `~` in reports. `list` lists a system directory. `listHome` lists a directory that a user
   * may control. It returns the last response of the reader process, or an empty list before the first
   * response.
   */
  homes: (list: (path: string) => string[], listHome: (path: string) => string[]) => readonly string[];
  clock: Clock;
  /** Monotonic clock in milliseconds (`performance.now`). */
  elapsed: () => number;
  /** Processor time used by this process, in milliseconds. Default: `process.cpuUsage`. */
  cpuMs?: () => number;
};

/** Everything outside this process that a scanner reads. */
export type SystemReaders = {
  host: Host;
  files: Files;
  reader: Reader;
  directories: Directories;
  moved?: MovedStores;
  probe: Probe;
  catalogue: readonly CatalogEntry[];
  selfPid: number;
  /** Home directories, longest path first. Returns the same array as before while they are unchanged. */
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

/**
 * The readers for this platform. A collector that the platform does not support reports `unsupported` and
 * does not fail.
 */
export function systemReaders(options: SystemOptions): SystemReaders {
  const files = realFiles();
  const { catalogue = builtIn } = options;
  const namespaces = options.platform === "linux" ? createNamespaces(exitStranded) : noNamespaces;
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
    moved: new MovedStores({ ...options, reader, homes }),
    elapsed: options.elapsed,
    cpuMs,
  };
}

const processorMs = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};

/** Maximum number of names listed in a home directory or in a directory of homes. */
const NAMES_MAX = 10_000;

/**
 * Lists home directories at start and then every {@link REFRESH_MS}, because users can be added while the
 * daemon runs.
 */
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
  /** The last listings of directories on file systems that may not respond. */
  const remote = new Map<string, readonly string[]>();
  const list = (path: string): string[] => {
    if (deps.platform !== "linux" || mounts.ofPath(path).class === "local") return files.list(path);
    return listLater(path);
  };
  const listLater = (path: string): string[] => {
    const before = remote.get(path);
    void reader.ask({ op: "list", path, namesMax: NAMES_MAX }, path).then((outcome) => {
      const names = "value" in outcome ? outcome.value : (before ?? []);
      // The names have changed, so list the homes again in the next scan.
      if (!isDeepStrictEqual(names, before)) nextAtMs = elapsed();
      remote.set(path, names);
    });
    return [...(before ?? [])];
  };
  return () => {
    if (elapsed() < nextAtMs) return known;
    nextAtMs = elapsed() + REFRESH_MS;
    // One home directory may be below another, for example /home/example.com/ada below /home/example.com.
    const now = [...new Set(deps.homes(list, listLater))].sort((a, b) => b.length - a.length);
    if (!isDeepStrictEqual(now, known)) known = now;
    return known;
  };
}

/**
 * Ends this process if it cannot return to the agent's network namespace. The supervisor (systemd) starts the
 * agent again.
 */
function exitStranded(): never {
  process.stderr.write("lz-agent: cannot return from another network namespace; exiting\n");
  process.exit(1);
}
