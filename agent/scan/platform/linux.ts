import { createLinuxGpu } from "../gpu/gpu.ts";
import { createAnonymousMemoryTable } from "../models/anonymous-memory.ts";
import { createMappedTable, type MappedTable } from "../models/mapped-files.ts";
import type { Namespaces } from "../network/namespaces.ts";
import { createPortForwarders } from "../network/port-forwarders.ts";
import type { SocketDiag } from "../network/sock-diag.ts";
import { createSocketTable } from "../network/socket-table.ts";
import { createInterpreters } from "../processes/interpreters.ts";
import { createPackages, isPackagePath } from "../processes/packages.ts";
import { parsePasswd } from "../processes/process-identity.ts";
import { createProcessTable } from "../processes/process-table.ts";
import { placedPackage } from "../processes/versioned-packages.ts";
import type { Reader } from "../reader/file-reader.ts";
import type { Files } from "../system/files.ts";
import { optional } from "../system/files.ts";
import { hidesProcesses } from "../system/hidepid.ts";
import type { Host, ProcessFacts, Sighting, Snapshot } from "../system/host.ts";
import type { LinuxProcess } from "../system/linux-process.ts";
import type { Mounts } from "../system/mounts.ts";
import type { Run } from "../system/run-tool.ts";
import { UnixSocketTable } from "../unix/unix-listeners.ts";

const PASSWD_BYTES_MAX = 1024 * 1024;
/** Interval between two checks that the path of a running executable still leads to the running file. */
const FILE_CHECK_MS = 60_000;

type Dependencies = {
  files: Files;
  run: Run;
  procRoot: string;
  sysRoot: string;
  selfPid: number;
  clock: () => number;
  elapsed: () => number;
  cpuMs: () => number;
  mounts: Mounts;
  reader: Reader;
  namespaces: Namespaces;
  /** Reads sockets with the kernel's sock_diag, which is cheaper than reading the tables of procfs. */
  diag?: SocketDiag | undefined;
  isLibraryWanted: (path: string) => boolean;
};

/** A Linux host, read from procfs. */
export function linuxHost(deps: Dependencies): Host {
  const { files, procRoot } = deps;
  const sources = createSources(deps);
  const executables = createExecutableFacts(deps, sources.mapped);
  let lastProcesses: ReadonlyMap<number, LinuxProcess> = new Map();
  return {
    observe: async (sighted) => {
      deps.mounts.begin();
      const snapshot = await observe(sources, sighted);
      lastProcesses = snapshot.processes;
      return snapshot;
    },
    peers: (listeners) => sources.sockets.peers(listeners),
    unixListeners: (pids) =>
      sources.unixSockets.read(
        [...pids].flatMap((pid) => lastProcesses.get(pid) ?? []),
        lastProcesses,
      ),
    workingDirectory: (pid) => optional(() => files.link(`${procRoot}/${pid}/cwd`)),
    packageOf: executables.packageOf,
    languageOf: executables.languageOf,
    executableFile: ({ pid }) => `${procRoot}/${pid}/exe`,
    isExecutableLocal: ({ pid }) => executables.isLocal(pid),
  };
}

type Sources = ReturnType<typeof createSources>;

function createSources(deps: Dependencies) {
  const passwd = optional(() => deps.files.text("/etc/passwd", PASSWD_BYTES_MAX)) ?? "";
  const isHiding = (): boolean => hidesProcesses(deps);
  return {
    processTable: createProcessTable({ ...deps, users: parsePasswd(passwd), isHiding }),
    sockets: createSocketTable({ ...deps, diag: deps.diag }),
    unixSockets: new UnixSocketTable(deps),
    mapped: createMappedTable({ ...deps, isWanted: deps.isLibraryWanted, isHiding }),
    anonymousMemory: createAnonymousMemoryTable(deps),
    forwarders: createPortForwarders(deps),
    gpuTable: createLinuxGpu(deps),
  };
}

type Observed = Snapshot & { processes: ReadonlyMap<number, LinuxProcess> };

async function observe(sources: Sources, sighted?: (sighting: Sighting) => void): Promise<Observed> {
  const { processTable, sockets, mapped, anonymousMemory, forwarders, gpuTable } = sources;
  const { processes, changed, collector: processReport } = processTable.read();
  const { listeners, owners, collector: socketReport, waiting: socketsWaiting } = sockets.read(processes);
  // A process with a new listener may have executed another program or loaded a model since its last read.
  processTable.hasten(owners);
  sighted?.({ processes, listeners });
  const files = await mapped.read(processes, changed);
  const { weights, libraries } = files;
  const memory = anonymousMemory.read(processes, libraries, files.traces);
  const { gpu, collector: gpuReport } = gpuTable.read(
    () => new Set([...owners, ...weights.keys(), ...libraries.keys()]),
  );
  return {
    processes,
    listeners,
    weights,
    libraries,
    gpu,
    anonymous: memory.anonymous,
    forwards: forwarders.read(listeners, processes),
    collectors: [processReport, socketReport, ...files.collectors, ...memory.collectors, gpuReport],
    waiting: [...socketsWaiting, ...files.waiting, ...memory.waiting],
  };
}

/** Facts about the executables of processes. Executables on remote file systems are not read. */
function createExecutableFacts(deps: Dependencies, mapped: MappedTable) {
  const { files, procRoot, mounts } = deps;
  const packages = createPackages(deps);
  const checks = new WeakMap<ProcessFacts, { nextAtMs: number; isSame: boolean }>();
  const interpreters = createInterpreters(deps);
  const isLocal = (pid: number): boolean => {
    const device = mapped.executableDevice(pid);
    return device !== undefined && mounts.ofDevice(pid, device).class === "local";
  };
  /**
   * False if the path leads to another file. The process may have another root directory or mount namespace,
   * or the file was replaced after the program started.
   */
  const isFileAtPath = (pid: number, executable: string): boolean => {
    if (!isLocal(pid) || mounts.ofPath(executable).class !== "local") return false;
    const running = optional(() => files.facts(`${procRoot}/${pid}/exe`));
    return running !== undefined && running.identity === optional(() => files.facts(executable))?.identity;
  };
  /** Caches a successful check, because a check takes three system calls per engine. */
  const isCheckedFileAtPath = (process: ProcessFacts, executable: string): boolean => {
    const last = checks.get(process);
    if (last?.isSame && deps.elapsed() < last.nextAtMs) return true;
    const isSame = isFileAtPath(process.pid, executable);
    checks.set(process, { isSame, nextAtMs: deps.elapsed() + FILE_CHECK_MS });
    return isSame;
  };
  return {
    isLocal,
    languageOf: ({ pid }: ProcessFacts) =>
      isLocal(pid) ? interpreters.languageOf(`${procRoot}/${pid}/exe`) : undefined,
    packageOf: (process: ProcessFacts): string | undefined => {
      const { executable, container } = process;
      // The path of a process in a container is not valid on this host.
      if (executable === undefined || container !== undefined) return undefined;
      const placed = placedPackage(executable);
      if (placed === undefined && !isPackagePath(executable)) return undefined;
      return isCheckedFileAtPath(process, executable) ? (placed ?? packages.of(executable)) : undefined;
    },
  };
}
