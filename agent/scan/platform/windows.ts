import type { Collector } from "../../../shared/wire/heartbeat.ts";
import { createNvidia, type GpuMemory } from "../gpu/gpu.ts";
import { joinPeers, type Peers } from "../network/client-connections.ts";
import { createReach, withLinkLocal } from "../network/reachable-address.ts";
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
import type { Files } from "../system/files.ts";
import type { GpuUse, Host, ProcessFacts } from "../system/host.ts";
import type { Run } from "../system/run-tool.ts";
import { listenersOf } from "./darwin.ts";
import { parseNetstat } from "./netstat.ts";

const LIMITS = { timeoutMs: 15_000, bytesMax: 16 * 1024 * 1024 };
const POWERSHELL = ["powershell.exe", "-NoProfile", "-NonInteractive", "-Command"];
/** Starting PowerShell takes most of a second of CPU: only for a socket of an unknown process, or this rarely. */
const PROCESSES_MS = 60_000;
const UNKNOWN_OWNER_MS = 10_000;
const MODULES_PIDS_MAX = 64;
/** Whatever has a window has some GPU memory, games and browsers a lot: what counts is as large as a model. */
export const GPU_BYTES_MIN = 2 * 1024 ** 3;

/**
 * A Windows host, from netstat and PowerShell. netstat is cheap and runs in every scan; processes and their modules
 * are asked for when a listener belongs to an unknown process, and once a minute.
 */
export function windowsHost(deps: {
  files: Files;
  run: Run;
  selfPid: number;
  elapsed: () => number;
  isLibraryWanted: (path: string) => boolean;
}): Host {
  const reach = createReach({ files: deps.files, procRoot: "?", sysRoot: "?" });
  const nvidia = createNvidia({ ...deps, isPresent: () => isNvidia() });
  const signers = createSigners({
    ...deps,
    look: (path) => authenticodeSigner(deps.run, POWERSHELL, path),
  });
  let gpuBytes: ReadonlyMap<number, number> | undefined;
  const libraries = new Map<number, { key: string; paths: string[] }>();
  let processes = new Map<number, ProcessFacts>();
  let rows: TcpRow[] = [];
  let askedAtMs = Number.NEGATIVE_INFINITY;
  let processReport: Collector = { name: "processes", status: "failed", detail: "not read yet" };
  let moduleReport: Collector = { name: "libraries", status: "failed", detail: "not read yet" };

  return {
    observe: async () => {
      const listening = await readSockets();
      const sinceMs = deps.elapsed() - askedAtMs;
      const unknown = rows.some((row) => row.state === "listen" && !processes.has(Number(row.inode)));
      if (sinceMs >= (unknown ? UNKNOWN_OWNER_MS : PROCESSES_MS)) {
        askedAtMs = deps.elapsed();
        await readProcesses();
        await readModules();
      }
      const { gpu, collector } = gpuMemory(gpuBytes, nvidia.read());
      const listeners = listenersOf(rows, processes, reach.own);
      return {
        processes,
        listeners,
        weights: new Map(),
        libraries: new Map([...libraries].map(([pid, { paths }]) => [pid, paths])),
        gpu,
        collectors: [processReport, withLinkLocal(listening, listeners), moduleReport, WEIGHTS, collector],
      };
    },
    peers: (listeners) => withoutDirectories(joinPeers(listeners, rows, () => (pid) => Number(pid))),
    workingDirectory: () => undefined,
    packageOf: ({ executable }) => executable && placedPackage(executable),
    signerOf: ({ executable }) => (executable === undefined ? undefined : signers.of(executable)),
    executableFile: ({ executable }) => executable,
  };

  async function readSockets(): Promise<Collector> {
    try {
      const [four, six] = await Promise.all(
        ["TCP", "TCPv6"].map((protocol) => deps.run(["netstat.exe", "-ano", "-p", protocol], LIMITS)),
      );
      rows = [...parseNetstat(four!), ...parseNetstat(six!)];
      return { name: "listeners", status: "ok" };
    } catch {
      return { name: "listeners", status: "failed", detail: "netstat failed" };
    }
  }

  async function readProcesses(): Promise<void> {
    try {
      const report = parseReport(await deps.run([...POWERSHELL, PROCESSES_SCRIPT], LIMITS));
      processes = new Map(report.processes.map((one) => [one.pid, toFacts(one)]));
      gpuBytes = report.gpuBytes;
      processReport = reportOf(report.processes);
    } catch {
      processReport = { name: "processes", status: "failed", detail: "PowerShell failed" };
    }
  }

  async function readModules(): Promise<void> {
    for (const [pid, { key }] of libraries) if (processes.get(pid)?.key !== key) libraries.delete(pid);
    const unread = [...processes.values()].filter(({ pid }) => !libraries.has(pid) && pid !== deps.selfPid);
    const asked = unread.slice(-MODULES_PIDS_MAX);
    if (asked.length === 0) return;
    try {
      const text = await deps.run([...POWERSHELL, modulesScript(asked.map(({ pid }) => pid))], LIMITS);
      const modules = parseModules(text);
      for (const { pid, key } of asked) {
        libraries.set(pid, { key, paths: (modules.get(pid) ?? []).filter(deps.isLibraryWanted) });
      }
      const left = unread.length - asked.length;
      const detail = `modules of ${left} processes wait for a later scan`;
      moduleReport = { name: "libraries", status: left > 0 ? "partial" : "ok", ...(left > 0 && { detail }) };
    } catch {
      moduleReport = { name: "libraries", status: "failed", detail: "PowerShell failed" };
    }
  }

  function isNvidia(): boolean {
    try {
      return deps.files.facts("C:\\Windows\\System32\\nvidia-smi.exe").isFile;
    } catch {
      return false;
    }
  }
}

const WEIGHTS: Collector = {
  name: "weights",
  status: "unsupported",
  detail: "Windows does not tell which data files a process has mapped",
};

/** Where a process works is in its own memory, which is not read. */
const withoutDirectories = ({ peers, collector }: Peers): Peers => ({
  peers,
  collector: { detail: "Windows does not tell in which directory a client works", ...collector },
});

function reportOf(found: readonly CimProcess[]): Collector {
  const hidden = found.filter(({ executable }) => executable === undefined).length;
  const problems = [
    ...(hidden > 0
      ? [`${hidden} of ${found.length} processes do not show their executable to this account`]
      : []),
    ...(found.every(({ user }) => user === undefined)
      ? ["users are hidden without administrator rights"]
      : []),
  ];
  if (problems.length > 0) return { name: "processes", status: "partial", detail: problems.join("; ") };
  return { name: "processes", status: "ok", detail: `${found.length} processes` };
}

/**
 * What Windows counts, and what NVIDIA's driver tells of cards that Windows does not schedule (TCC). Under Windows'
 * own scheduling that driver names every program with a window, and no amount.
 */
function gpuMemory(counted: ReadonlyMap<number, number> | undefined, nvidia?: GpuMemory): GpuMemory {
  const gpu = new Map<number, GpuUse>();
  for (const [pid, bytes] of counted ?? []) if (bytes >= GPU_BYTES_MIN) gpu.set(pid, { bytes });
  for (const [pid, use] of nvidia?.gpu ?? []) if (use.bytes > 0) gpu.set(pid, use);
  if (counted) return { gpu, collector: { name: "gpu", status: "ok" } };
  const detail = "this Windows does not count GPU memory by process";
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
