import type { Collector } from "../../../shared/wire/heartbeat.ts";
import { createNvidia, type GpuMemory } from "../gpu/gpu.ts";
import { joinPeers, type Peers } from "../network/client-connections.ts";
import { createReach, type Reach, withLinkLocal } from "../network/reachable-address.ts";
import type { TcpRow } from "../network/sockets.ts";
import { authenticodeSigner } from "../processes/authenticode.ts";
import { createSigners } from "../processes/signers.ts";
import { placedPackage } from "../processes/versioned-packages.ts";
import {
  type CimProcess,
  modulesScript,
  PROCESSES_SCRIPT,
  parseModules,
  parseReport,
  splitCommandLine,
} from "../system/cim.ts";
import { type Files, optional } from "../system/files.ts";
import type { GpuUse, Host, ProcessFacts, Snapshot } from "../system/host.ts";
import type { Run } from "../system/run-tool.ts";
import { parseNetstat } from "./netstat.ts";
import { listenersOf } from "./pid-listeners.ts";

const LIMITS = { timeoutMs: 15_000, bytesMax: 16 * 1024 * 1024 };
const POWERSHELL = ["powershell.exe", "-NoProfile", "-NonInteractive", "-Command"];
/**
 * Interval between two reads of processes and modules. Starting PowerShell takes almost one second of
 * processor time.
 */
const PROCESSES_MS = 60_000;
/** Shorter interval, used while a listener belongs to an unknown process. */
const UNKNOWN_OWNER_MS = 10_000;
const MODULES_PIDS_MAX = 64;
/**
 * Minimum GPU memory that indicates a model. Every program with a window uses some GPU memory, and games and
 * browsers use a lot.
 */
export const GPU_BYTES_MIN = 2 * 1024 ** 3;

type Dependencies = {
  files: Files;
  run: Run;
  selfPid: number;
  elapsed: () => number;
  isLibraryWanted: (path: string) => boolean;
};

/**
 * A Windows host, read with netstat and PowerShell. netstat is cheap and runs in every scan. Processes and
 * their modules are read once a minute, or earlier if a listener belongs to an unknown process.
 */
export function windowsHost(deps: Dependencies): Host {
  const observer = new WindowsObserver(deps);
  const signers = createSigners({
    ...deps,
    look: (path) => authenticodeSigner(deps.run, POWERSHELL, path),
  });
  return {
    observe: () => observer.observe(),
    peers: (listeners) => withoutDirectories(joinPeers(listeners, observer.rows, () => (pid) => Number(pid))),
    workingDirectory: () => undefined,
    packageOf: ({ executable }) => executable && placedPackage(executable),
    signerOf: ({ executable }) => (executable === undefined ? undefined : signers.of(executable)),
    executableFile: ({ executable }) => executable,
  };
}

class WindowsObserver {
  /** TCP sockets of the last read. `inode` contains the pid. */
  rows: TcpRow[] = [];
  readonly #deps: Dependencies;
  readonly #reach: Reach;
  readonly #nvidia: ReturnType<typeof createNvidia>;
  readonly #libraries = new Map<number, { key: string; paths: string[] }>();
  #processes = new Map<number, ProcessFacts>();
  #gpuBytes: ReadonlyMap<number, number> | undefined;
  #readAtMs = Number.NEGATIVE_INFINITY;
  #processReport: Collector = { name: "processes", status: "failed", detail: "not read yet" };
  #moduleReport: Collector = { name: "libraries", status: "failed", detail: "not read yet" };

  constructor(deps: Dependencies) {
    this.#deps = deps;
    this.#reach = createReach({ files: deps.files, procRoot: "?", sysRoot: "?" });
    this.#nvidia = createNvidia({ ...deps, isPresent: () => hasNvidiaTool(deps.files) });
  }

  async observe(): Promise<Snapshot> {
    const socketReport = await this.#readSockets();
    const sinceMs = this.#deps.elapsed() - this.#readAtMs;
    const hasUnknownOwner = this.rows.some(
      (row) => row.state === "listen" && !this.#processes.has(Number(row.inode)),
    );
    if (sinceMs >= (hasUnknownOwner ? UNKNOWN_OWNER_MS : PROCESSES_MS)) {
      this.#readAtMs = this.#deps.elapsed();
      await this.#readProcesses();
      await this.#readModules();
    }
    const { gpu, collector } = gpuMemory(this.#gpuBytes, this.#nvidia.read());
    const listeners = listenersOf(this.rows, this.#processes, this.#reach.own);
    const listening = withLinkLocal(socketReport, listeners);
    return {
      processes: this.#processes,
      listeners,
      weights: new Map(),
      libraries: new Map([...this.#libraries].map(([pid, { paths }]) => [pid, paths])),
      gpu,
      collectors: [this.#processReport, listening, this.#moduleReport, WEIGHTS, collector],
    };
  }

  async #readSockets(): Promise<Collector> {
    try {
      const [four, six] = await Promise.all(
        ["TCP", "TCPv6"].map((protocol) => this.#deps.run(["netstat.exe", "-ano", "-p", protocol], LIMITS)),
      );
      this.rows = [...parseNetstat(four!), ...parseNetstat(six!)];
      return { name: "listeners", status: "ok" };
    } catch {
      return { name: "listeners", status: "failed", detail: "netstat failed" };
    }
  }

  async #readProcesses(): Promise<void> {
    try {
      const report = parseReport(await this.#deps.run([...POWERSHELL, PROCESSES_SCRIPT], LIMITS));
      this.#processes = new Map(report.processes.map((one) => [one.pid, toFacts(one)]));
      this.#gpuBytes = report.gpuBytes;
      this.#processReport = reportOf(report.processes);
    } catch {
      this.#processReport = { name: "processes", status: "failed", detail: "PowerShell failed" };
    }
  }

  async #readModules(): Promise<void> {
    const { run, selfPid, isLibraryWanted } = this.#deps;
    const libraries = this.#libraries;
    for (const [pid, { key }] of libraries) if (this.#processes.get(pid)?.key !== key) libraries.delete(pid);
    const unread = [...this.#processes.values()].filter(({ pid }) => !libraries.has(pid) && pid !== selfPid);
    const due = unread.slice(-MODULES_PIDS_MAX);
    if (due.length === 0) return;
    try {
      const modules = parseModules(
        await run([...POWERSHELL, modulesScript(due.map(({ pid }) => pid))], LIMITS),
      );
      for (const { pid, key } of due) {
        libraries.set(pid, { key, paths: (modules.get(pid) ?? []).filter(isLibraryWanted) });
      }
      const left = unread.length - due.length;
      const detail = `modules of ${left} processes wait for a later scan`;
      this.#moduleReport = {
        name: "libraries",
        status: left > 0 ? "partial" : "ok",
        ...(left > 0 && { detail }),
      };
    } catch {
      this.#moduleReport = { name: "libraries", status: "failed", detail: "PowerShell failed" };
    }
  }
}

const hasNvidiaTool = (files: Files): boolean =>
  optional(() => files.facts("C:\\Windows\\System32\\nvidia-smi.exe"))?.isFile ?? false;

const WEIGHTS: Collector = {
  name: "weights",
  status: "unsupported",
  detail: "Windows does not show which data files a process maps",
};

/** The working directory of a process is stored in the memory of that process, which the agent does not read. */
const withoutDirectories = ({ peers, collector }: Peers): Peers => ({
  peers,
  collector: { detail: "Windows does not show the working directory of a client", ...collector },
});

function reportOf(found: readonly CimProcess[]): Collector {
  const hidden = found.filter(({ executable }) => executable === undefined).length;
  const problems = [
    ...(hidden > 0
      ? [`this account cannot see the executables of ${hidden} of ${found.length} processes`]
      : []),
    ...(found.every(({ user }) => user === undefined)
      ? ["users are hidden without administrator rights"]
      : []),
  ];
  if (problems.length > 0) return { name: "processes", status: "partial", detail: problems.join("; ") };
  return { name: "processes", status: "ok", detail: `${found.length} processes` };
}

/**
 * Merges the GPU memory counted by Windows with that reported by NVIDIA's driver. The driver's amounts are
 * used for cards that Windows does not schedule (TCC). For all other cards, the driver lists every program
 * with a window and reports no amount.
 */
function gpuMemory(counted: ReadonlyMap<number, number> | undefined, nvidia?: GpuMemory): GpuMemory {
  const gpu = new Map<number, GpuUse>();
  for (const [pid, bytes] of counted ?? []) if (bytes >= GPU_BYTES_MIN) gpu.set(pid, { bytes });
  for (const [pid, use] of nvidia?.gpu ?? []) if (use.bytes > 0) gpu.set(pid, use);
  if (counted) return { gpu, collector: { name: "gpu", status: "ok" } };
  const detail = "this version of Windows does not report GPU memory per process";
  return { gpu, collector: nvidia?.collector ?? { name: "gpu", status: "unsupported", detail } };
}

function toFacts(one: CimProcess): ProcessFacts {
  const { pid, parentPid, name, executable, commandLine, startedAtMs, user } = one;
  return {
    pid,
    parentPid,
    key: `${pid}:${startedAtMs}:${name}`,
    name,
    argv: splitCommandLine(commandLine ?? ""),
    ...(executable !== undefined && { executable }),
    ...(startedAtMs !== undefined && { startedAtMs }),
    ...(user !== undefined && { user }),
  };
}
