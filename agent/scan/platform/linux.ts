import { createLinuxGpu } from "../gpu/gpu.ts";
import { createAnonymousMemoryTable } from "../models/anonymous-memory.ts";
import { createMappedTable } from "../models/mapped-files.ts";
import type { Namespaces } from "../network/namespaces.ts";
import { createPortForwarders } from "../network/port-forwarders.ts";
import type { SocketDiag } from "../network/sock-diag.ts";
import { createSocketTable } from "../network/socket-table.ts";
import { createInterpreters } from "../processes/interpreters.ts";
import { createPackages, isPackagePath } from "../processes/packages.ts";
import { createProcessTable, parsePasswd } from "../processes/process-table.ts";
import { placedPackage } from "../processes/versioned-packages.ts";
import type { Reader } from "../reader/file-reader.ts";
import type { Files } from "../system/files.ts";
import { optional } from "../system/files.ts";
import { hidesProcesses } from "../system/hidepid.ts";
import type { Host } from "../system/host.ts";
import type { LinuxProcess } from "../system/linux-process.ts";
import type { Mounts } from "../system/mounts.ts";
import type { Run } from "../system/run-tool.ts";
import { createUnixSockets } from "../unix/unix-listeners.ts";

const PASSWD_BYTES_MAX = 1024 * 1024;

/** A Linux host, from procfs. */
export function linuxHost(deps: {
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
  /** Sockets without the tables of procfs, where the kernel gives them. */
  diag?: SocketDiag | undefined;
  isLibraryWanted: (path: string) => boolean;
}): Host {
  const { files, procRoot } = deps;
  const users = parsePasswd(optional(() => files.text("/etc/passwd", PASSWD_BYTES_MAX)) ?? "");
  const isHiding = (): boolean => hidesProcesses(deps);
  const processTable = createProcessTable({ ...deps, users, isHiding });
  const sockets = createSocketTable({ ...deps, diag: deps.diag });
  const unixSockets = createUnixSockets(deps);
  let seen: ReadonlyMap<number, LinuxProcess> = new Map();
  const packages = createPackages(deps);
  const mapped = createMappedTable({ ...deps, isWanted: deps.isLibraryWanted, isHiding });
  const anonymousMemory = createAnonymousMemoryTable(deps);
  const interpreters = createInterpreters(deps);
  const forwarders = createPortForwarders(deps);
  const gpuTable = createLinuxGpu(deps);
  const isExecutableLocal = (pid: number): boolean => {
    const device = mapped.executableDevice(pid);
    return device !== undefined && deps.mounts.ofDevice(pid, device).class === "local";
  };
  /** Not another file under its path: in another root or mount, or replaced since the program began. */
  const isOwnFile = (pid: number, executable: string): boolean => {
    if (!isExecutableLocal(pid) || deps.mounts.ofPath(executable).class !== "local") return false;
    const runs = optional(() => files.facts(`${procRoot}/${pid}/exe`));
    return runs !== undefined && runs.identity === optional(() => files.facts(executable))?.identity;
  };
  return {
    observe: async (sighted) => {
      deps.mounts.begin();
      const { processes, changed, collector } = processTable.read();
      seen = processes;
      const { listeners, owners, collector: sources, waiting: late } = sockets.read(processes);
      // What begins to listen may have become another program, or loaded a model, since its last turn.
      processTable.hasten(owners);
      sighted?.({ processes, listeners });
      const { weights, libraries, traces, collectors, waiting, unanswered } = await mapped.read(
        processes,
        changed,
      );
      const memory = anonymousMemory.read(processes, libraries, traces);
      const candidates = () => new Set([...owners, ...weights.keys(), ...libraries.keys()]);
      const { gpu, collector: gpuCollector } = gpuTable.read(candidates);
      return {
        processes,
        listeners,
        weights,
        libraries,
        gpu,
        anonymous: memory.anonymous,
        forwards: forwarders.read(listeners, processes),
        collectors: [collector, sources, ...collectors, ...memory.collectors, gpuCollector],
        waiting: [...late, ...waiting, ...memory.waiting],
        unanswered,
      };
    },
    peers: (listeners) => sockets.peers(listeners),
    unixListeners: (pids) =>
      unixSockets.read(
        [...pids].flatMap((pid) => seen.get(pid) ?? []),
        seen,
      ),
    workingDirectory: (pid) => optional(() => files.link(`${procRoot}/${pid}/cwd`)),
    // The path of a process in a container is none of this host's.
    packageOf: ({ pid, executable, container }) => {
      if (executable === undefined || container !== undefined) return undefined;
      const placed = placedPackage(executable);
      if (placed === undefined && !isPackagePath(executable)) return undefined;
      return isOwnFile(pid, executable) ? (placed ?? packages.of(executable)) : undefined;
    },
    languageOf: ({ pid }) =>
      isExecutableLocal(pid) ? interpreters.languageOf(`${procRoot}/${pid}/exe`) : undefined,
    executableFile: ({ pid }) => `${procRoot}/${pid}/exe`,
    isExecutableLocal: ({ pid }) => isExecutableLocal(pid),
  };
}
