import type { Files } from "./files.ts";
import { optional } from "./files.ts";
import { createGpuTable } from "./gpu.ts";
import type { Host } from "./host.ts";
import { createSocketTable } from "./listeners.ts";
import { createMappedTable } from "./mapped.ts";
import { createPackages } from "./packages.ts";
import { createProcessTable, parsePasswd } from "./processes.ts";
import type { Run } from "./run.ts";

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
  isLibraryWanted: (path: string) => boolean;
}): Host {
  const { files, procRoot } = deps;
  const users = parsePasswd(optional(() => files.text("/etc/passwd", PASSWD_BYTES_MAX)) ?? "");
  const processTable = createProcessTable({ ...deps, users });
  const sockets = createSocketTable(deps);
  const packages = createPackages(deps);
  const mapped = createMappedTable({ ...deps, isWanted: deps.isLibraryWanted });
  const gpuTable = createGpuTable({
    ...deps,
    isPresent: () => optional(() => files.facts(`${procRoot}/driver/nvidia/version`)) !== undefined,
  });
  return {
    observe: async () => {
      const { processes, collector } = processTable.read();
      const { listeners, collector: listening } = sockets.read(processes);
      const { weights, libraries, collectors } = mapped.read(processes);
      const { gpu, collector: gpuCollector } = gpuTable.read();
      return {
        processes,
        listeners,
        weights,
        libraries,
        gpu,
        collectors: [collector, listening, ...collectors, gpuCollector],
      };
    },
    peers: (listeners) => sockets.peers(listeners),
    workingDirectory: (pid) => optional(() => files.link(`${procRoot}/${pid}/cwd`)),
    // The path of a process in a container is none of this host's.
    packageOf: ({ executable, container }) =>
      executable === undefined || container !== undefined ? undefined : packages.of(executable),
    executableFile: ({ pid }) => `${procRoot}/${pid}/exe`,
  };
}
