import type { Collector } from "../../shared/wire/heartbeat.ts";
import { modulesScript, PROCESSES_SCRIPT, parseModules, parseProcesses, splitCommandLine } from "./cim.ts";
import { listenersOf } from "./darwin.ts";
import type { Files } from "./files.ts";
import { createGpuTable } from "./gpu.ts";
import type { Host, ProcessFacts } from "./host.ts";
import { parseNetstat } from "./netstat.ts";
import { joinPeers } from "./peers.ts";
import { createReach } from "./reach.ts";
import type { Run } from "./run.ts";
import type { TcpRow } from "./sockets.ts";

const LIMITS = { timeoutMs: 15_000, bytesMax: 16 * 1024 * 1024 };
const POWERSHELL = ["powershell.exe", "-NoProfile", "-NonInteractive", "-Command"];
/** Starting PowerShell takes most of a second of CPU: only for a socket of an unknown process, or this rarely. */
const PROCESSES_MS = 60_000;
const UNKNOWN_OWNER_MS = 10_000;
const MODULES_PIDS_MAX = 64;

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
  const gpu = createGpuTable({ ...deps, isPresent: () => isNvidia() });
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
      const { gpu: use, collector } = gpu.read();
      return {
        processes,
        listeners: listenersOf(rows, processes, reach.own),
        weights: new Map(),
        libraries: new Map([...libraries].map(([pid, { paths }]) => [pid, paths])),
        gpu: use,
        collectors: [processReport, listening, moduleReport, WEIGHTS, collector],
      };
    },
    peers: (listeners) => joinPeers(listeners, rows, () => (pid) => Number(pid)),
    workingDirectory: () => undefined,
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
      const found = parseProcesses(await deps.run([...POWERSHELL, PROCESSES_SCRIPT], LIMITS));
      processes = new Map(found.map((one) => [one.pid, toFacts(one)]));
      const hidden = found.filter(({ executable }) => executable === undefined).length;
      const detail = `${hidden} of ${found.length} processes do not show their executable to this account`;
      processReport = { name: "processes", status: hidden > 0 ? "partial" : "ok", detail };
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

function toFacts(one: ReturnType<typeof parseProcesses>[number]): ProcessFacts {
  const { pid, parentPid, name, executable, commandLine, startedAtMs } = one;
  return {
    pid,
    parentPid,
    key: `${pid}:${startedAtMs}:${name}`,
    name,
    argv: splitCommandLine(commandLine ?? ""),
    ...(executable !== undefined && { executable }),
    ...(startedAtMs !== undefined && { startedAtMs }),
  };
}
