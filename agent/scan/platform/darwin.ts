import { posix } from "node:path";
import type { Collector } from "../../../shared/wire/heartbeat.ts";
import { createWeightReader } from "../models/weights.ts";
import { joinPeers } from "../network/client-connections.ts";
import { createReach, withLinkLocal } from "../network/reachable-address.ts";
import type { TcpRow } from "../network/sockets.ts";
import { codesignSigner } from "../processes/codesign.ts";
import { createSigners } from "../processes/signers.ts";
import { placedPackage } from "../processes/versioned-packages.ts";
import { type Files, optional } from "../system/files.ts";
import type { Host, Listener, ProcessFacts, WeightFile } from "../system/host.ts";
import type { Run } from "../system/run-tool.ts";
import { type OpenFile, parseLsof, tcpRowsOf } from "./lsof.ts";
import { type PsRow, parsePs, parsePsArguments } from "./ps.ts";

const LIMITS = { timeoutMs: 4000, bytesMax: 8 * 1024 * 1024 };
/**
 * Month names of `lstart` follow the locale; and in a locale without UTF-8, which a daemon has, ps(1) and lsof(8)
 * write escapes for the letters of a path. An empty LC_ALL is none.
 */
const LOCALE = ["/usr/bin/env", "LC_ALL=", "LC_TIME=C", "LC_CTYPE=UTF-8"];
const PS_PROCESSES = [...LOCALE, "/bin/ps", "-axww", "-o", "pid=,ppid=,uid=,user=,rss=,lstart=,comm="];
const PS_ARGUMENTS = [...LOCALE, "/bin/ps", "-axww", "-o", "pid=,args="];
const LSOF_SOCKETS = ["/usr/sbin/lsof", "-nP", "-iTCP", "-F", "pftnT"];
/** lsof asks the kernel about every file of every process: every second scan is enough for two heartbeats. */
const SOCKET_SCANS = 2;
/** Processes whose files are listed in one scan, new ones first. */
const FILES_PIDS_MAX = 64;
const GROWTH_BYTES_MIN = 32 * 1024 * 1024;
/** Part of the system, signed and on a sealed volume. */
const SYSTEM = /^\/(?:System|usr\/lib|usr\/libexec|usr\/share|private\/var\/db|dev)\//;

type Held = {
  key: string;
  residentBytes: number;
  weights: WeightFile[];
  unreadable: number;
  libraries: string[];
  /** Where it worked when its files were listed. */
  directory?: string;
};

/** A macOS host, from ps(1) and lsof(8). What of other users they hide without root is said in the collectors. */
export function darwinHost(deps: {
  files: Files;
  run: Run;
  selfPid: number;
  elapsed: () => number;
  isLibraryWanted: (path: string) => boolean;
}): Host {
  const reach = createReach({ files: deps.files, procRoot: "/nonexistent", sysRoot: "/nonexistent" });
  const readWeights = createWeightReader(deps.files);
  const signers = createSigners({ ...deps, look: (path) => codesignSigner(deps.run, path) });
  const held = new Map<number, Held>();
  const sizes = new Map<number, number>();
  let processes = new Map<number, ProcessFacts>();
  let rows: TcpRow[] = [];
  let scans = 0;

  return {
    observe: async () => {
      const processReport = await readProcesses();
      const socketsReport = await readSockets();
      const listeners = listenersOf(rows, processes, reach.own);
      const collectors = [
        processReport,
        withLinkLocal(socketsReport, listeners),
        ...(await readFiles()),
        GPU,
      ];
      scans += 1;
      return {
        processes,
        listeners,
        weights: pick((one) => one.weights),
        libraries: pick((one) => one.libraries),
        gpu: new Map(),
        collectors,
      };
    },
    peers: (listeners) => joinPeers(listeners, rows, () => (pid) => Number(pid)),
    workingDirectory: (pid) => held.get(pid)?.directory,
    packageOf: ({ executable }) => executable && placedPackage(resolved(deps.files, executable)),
    signerOf: ({ executable }) => (executable === undefined ? undefined : signers.of(executable)),
    executableFile: ({ executable }) => executable,
  };

  /** Without root ps still shows everybody, lsof does not. */
  function isRoot(): boolean {
    return processes.get(deps.selfPid)?.uid === 0;
  }

  async function readProcesses(): Promise<Collector> {
    try {
      const found = parsePs(await deps.run(PS_PROCESSES, LIMITS));
      const isNew = found.some((row) => processes.get(row.pid)?.key !== keyOf(row));
      const words = isNew
        ? parsePsArguments(await deps.run(PS_ARGUMENTS, LIMITS))
        : new Map<number, string[]>();
      const current = new Map<number, ProcessFacts>();
      for (const row of found) {
        const before = processes.get(row.pid);
        const isKnown = before?.key === keyOf(row);
        current.set(
          row.pid,
          isKnown ? { ...before, parentPid: row.parentPid } : toFacts(row, words.get(row.pid)),
        );
        noteGrowth(row);
      }
      for (const pid of held.keys()) if (!current.has(pid)) held.delete(pid);
      processes = current;
      return { name: "processes", status: "ok", detail: `${current.size} processes` };
    } catch {
      return { name: "processes", status: "failed", detail: "ps failed" };
    }
  }

  async function readSockets(): Promise<Collector> {
    if (scans % SOCKET_SCANS !== 0) return socketReport();
    try {
      rows = tcpRowsOf(parseLsof(await deps.run(LSOF_SOCKETS, { ...LIMITS, codes: [0, 1] })));
      return socketReport();
    } catch {
      return { name: "listeners", status: "failed", detail: "lsof failed" };
    }
  }

  function socketReport(): Collector {
    if (isRoot()) return { name: "listeners", status: "ok" };
    return { name: "listeners", status: "partial", detail: "sockets of other users are hidden without root" };
  }

  /** A process that grew by a model's size is looked at again. */
  function noteGrowth(row: PsRow): void {
    const before = held.get(row.pid);
    const grew = before !== undefined && row.residentBytes - before.residentBytes >= GROWTH_BYTES_MIN;
    if (before?.key !== keyOf(row) || grew) held.delete(row.pid);
    sizes.set(row.pid, row.residentBytes);
  }

  async function readFiles(): Promise<Collector[]> {
    const unread = [...processes.keys()].filter((pid) => !held.has(pid) && pid !== deps.selfPid);
    const pids = unread.slice(-FILES_PIDS_MAX);
    const left = unread.length - pids.length;
    if (pids.length === 0) return filesReport(0);
    try {
      const command = [...LOCALE, "/usr/sbin/lsof", "-nP", "-a", "-p", pids.join(","), "-F", "pftn"];
      const byPid = Map.groupBy(
        parseLsof(await deps.run(command, { ...LIMITS, codes: [0, 1] })),
        ({ pid }) => pid,
      );
      for (const pid of pids) held.set(pid, toHeld(pid, byPid.get(pid) ?? []));
      return filesReport(left);
    } catch {
      const failed = { status: "failed", detail: "lsof failed" } as const;
      return [
        { name: "weights", ...failed },
        { name: "libraries", ...failed },
      ];
    }
  }

  function toHeld(pid: number, open: readonly OpenFile[]): Held {
    const paths = open.filter(
      ({ type, name }) => type === "REG" && name.startsWith("/") && !SYSTEM.test(name),
    );
    const libraries = paths.map(({ name }) => name).filter(deps.isLibraryWanted);
    let unreadable = 0;
    const weights = paths.flatMap(({ name, descriptor }) => {
      const found = readWeights(name);
      if (found === "unreadable") unreadable += 1;
      return found && found !== "unreadable"
        ? [{ ...found, path: name, how: /^\d/.test(descriptor) ? ("open" as const) : ("mapped" as const) }]
        : [];
    });
    const directory = open.find(({ descriptor }) => descriptor === "cwd")?.name;
    return {
      key: processes.get(pid)?.key ?? "",
      residentBytes: sizes.get(pid) ?? 0,
      weights,
      unreadable,
      libraries,
      ...(directory?.startsWith("/") && { directory }),
    };
  }

  function filesReport(left: number): Collector[] {
    const unreadable = [...held.values()].reduce((sum, one) => sum + one.unreadable, 0);
    const problems = [
      ...(unreadable > 0 ? [`${unreadable} open or mapped files not readable`] : []),
      ...(isRoot() ? [] : ["files of other users are hidden without root"]),
      ...(left > 0 ? [`${left} processes wait for the next scan`] : []),
    ];
    const detail = problems.join("; ");
    const names = ["weights", "libraries"];
    return names.map((name) =>
      detail === "" ? { name, status: "ok" } : { name, status: "partial", detail },
    );
  }

  function pick<T>(of: (one: Held) => readonly T[]): Map<number, readonly T[]> {
    return new Map(
      [...held].map(([pid, one]) => [pid, of(one)] as const).filter(([, items]) => items.length > 0),
    );
  }
}

/** Memory is one on these machines, and what of it the GPU uses is told per process to Apple's own tools alone. */
const GPU: Collector = {
  name: "gpu",
  status: "unsupported",
  detail: "macOS does not tell GPU memory by process",
};

/** ps(1) shows the link by which Homebrew puts a program on the PATH: `../Cellar/ollama/0.12.6/bin/ollama`. */
function resolved(files: Files, executable: string): string {
  const target = optional(() => files.link(executable));
  return target === undefined ? executable : posix.resolve(posix.dirname(executable), target);
}

const keyOf = (row: PsRow): string => `${row.pid}:${row.startedAtMs}:${row.executable}`;

function toFacts(row: PsRow, words: string[] | undefined): ProcessFacts {
  const { pid, parentPid, uid, user, executable, startedAtMs } = row;
  const name = executable.split("/").at(-1) || executable;
  const facts = { pid, parentPid, key: keyOf(row), name, uid, user, argv: words ?? [] };
  return {
    ...facts,
    ...(startedAtMs !== undefined && { startedAtMs }),
    ...(executable.startsWith("/") && { executable }),
  };
}

/** Listening rows of a table that names pids, as listeners. Several descriptors of one socket are one. */
export function listenersOf(
  rows: readonly TcpRow[],
  processes: ReadonlyMap<number, ProcessFacts>,
  reachableAt: (address: string) => string | undefined,
): Listener[] {
  const listeners = new Map<string, Listener>();
  for (const row of rows) {
    if (row.state !== "listen") continue;
    const pid = Number(row.inode);
    const key = `${pid}/${row.localAddress}:${row.localPort}`;
    const at = reachableAt(row.localAddress);
    listeners.set(key, {
      key,
      address: row.localAddress,
      port: row.localPort,
      ...(processes.has(pid) && { pid }),
      ...(at !== undefined && { reachableAt: at }),
    });
  }
  return [...listeners.values()];
}
