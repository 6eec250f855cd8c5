import { posix } from "node:path";
import type { Collector } from "../../../shared/wire/heartbeat.ts";
import { joinPeers } from "../network/client-connections.ts";
import { createReach, type Reach, withLinkLocal } from "../network/reachable-address.ts";
import type { TcpRow } from "../network/sockets.ts";
import { codesignSigner } from "../processes/codesign.ts";
import { createSigners } from "../processes/signers.ts";
import { placedPackage } from "../processes/versioned-packages.ts";
import { baseName } from "../system/base-name.ts";
import { type Files, optional } from "../system/files.ts";
import type { Host, ProcessFacts, Snapshot } from "../system/host.ts";
import type { Run } from "../system/run-tool.ts";
import { DarwinFiles } from "./darwin-files.ts";
import { LIMITS, LOCALE, LSOF } from "./darwin-tools.ts";
import { parseLsof, tcpRowsOf } from "./lsof.ts";
import { listenersOf } from "./pid-listeners.ts";
import { type PsRow, parsePs, parsePsArguments } from "./ps.ts";

const PS_PROCESSES = [...LOCALE, "/bin/ps", "-axww", "-o", "pid=,ppid=,uid=,user=,rss=,lstart=,comm="];
const PS_ARGUMENTS = [...LOCALE, "/bin/ps", "-axww", "-o", "pid=,args="];
const LSOF_SOCKETS = [LSOF, "-nP", "-iTCP", "-F", "pftnT"];
/**
 * Number of scans between two reads of the sockets. lsof queries the kernel for every file of every process,
 * which is expensive.
 */
const SOCKET_SCANS = 2;

type Dependencies = {
  files: Files;
  run: Run;
  selfPid: number;
  elapsed: () => number;
  isLibraryWanted: (path: string) => boolean;
};

/**
 * A macOS host, read with ps(1) and lsof(8). Without root, these tools hide data of other users. The
 * collectors report that data as missing.
 */
export function darwinHost(deps: Dependencies): Host {
  const observer = new DarwinObserver(deps);
  const signers = createSigners({ ...deps, look: (path) => codesignSigner(deps.run, path) });
  return {
    observe: () => observer.observe(),
    peers: (listeners) => joinPeers(listeners, observer.rows, () => (pid) => Number(pid)),
    workingDirectory: (pid) => observer.files.workingDirectory(pid),
    packageOf: ({ executable }) => executable && placedPackage(resolved(deps.files, executable)),
    signerOf: ({ executable }) => (executable === undefined ? undefined : signers.of(executable)),
    executableFile: ({ executable }) => executable,
  };
}

class DarwinObserver {
  readonly files: DarwinFiles;
  /** TCP sockets of the last read. `inode` contains the pid. */
  rows: TcpRow[] = [];
  readonly #deps: Dependencies;
  readonly #reach: Reach;
  #processes = new Map<number, ProcessFacts>();
  #scans = 0;

  constructor(deps: Dependencies) {
    this.#deps = deps;
    this.files = new DarwinFiles(deps);
    this.#reach = createReach({ files: deps.files, procRoot: "/nonexistent", sysRoot: "/nonexistent" });
  }

  async observe(): Promise<Snapshot> {
    const processReport = await this.#readProcesses();
    const socketsReport = await this.#readSockets();
    const listeners = listenersOf(this.rows, this.#processes, this.#reach.own);
    const fileReports = await this.files.read(this.#processes, this.#isRoot());
    this.#scans += 1;
    return {
      processes: this.#processes,
      listeners,
      weights: this.files.weights(),
      libraries: this.files.libraries(),
      gpu: new Map(),
      collectors: [processReport, withLinkLocal(socketsReport, listeners), ...fileReports, GPU],
    };
  }

  /** Without root, ps shows the processes of all users but lsof does not. */
  #isRoot(): boolean {
    return this.#processes.get(this.#deps.selfPid)?.uid === 0;
  }

  async #readProcesses(): Promise<Collector> {
    try {
      const rows = parsePs(await this.#deps.run(PS_PROCESSES, LIMITS));
      const isNew = rows.some((row) => this.#processes.get(row.pid)?.key !== keyOf(row));
      const words = isNew
        ? parsePsArguments(await this.#deps.run(PS_ARGUMENTS, LIMITS))
        : new Map<number, string[]>();
      const current = new Map<number, ProcessFacts>();
      for (const row of rows) {
        const before = this.#processes.get(row.pid);
        const isKnown = before?.key === keyOf(row);
        current.set(
          row.pid,
          isKnown ? { ...before, parentPid: row.parentPid } : toFacts(row, words.get(row.pid)),
        );
        this.files.noteSize(row.pid, keyOf(row), row.residentBytes);
      }
      this.files.forgetGone(current);
      this.#processes = current;
      return { name: "processes", status: "ok", detail: `${current.size} processes` };
    } catch {
      return { name: "processes", status: "failed", detail: "ps failed" };
    }
  }

  async #readSockets(): Promise<Collector> {
    if (this.#scans % SOCKET_SCANS !== 0) return this.#socketReport();
    try {
      this.rows = tcpRowsOf(parseLsof(await this.#deps.run(LSOF_SOCKETS, { ...LIMITS, codes: [0, 1] })));
      return this.#socketReport();
    } catch {
      return { name: "listeners", status: "failed", detail: "lsof failed" };
    }
  }

  #socketReport(): Collector {
    if (this.#isRoot()) return { name: "listeners", status: "ok" };
    return { name: "listeners", status: "partial", detail: "sockets of other users are hidden without root" };
  }
}

/** On these machines CPU and GPU share memory, and only Apple's own tools can read the GPU memory of a process. */
const GPU: Collector = {
  name: "gpu",
  status: "unsupported",
  detail: "macOS does not report GPU memory per process",
};

/**
 * Follows the symbolic link with which Homebrew adds a program to the PATH, for example
 * `../Cellar/ollama/0.12.6/bin/ollama`.
 */
function resolved(files: Files, executable: string): string {
  const target = optional(() => files.link(executable));
  return target === undefined ? executable : posix.resolve(posix.dirname(executable), target);
}

const keyOf = (row: PsRow): string => `${row.pid}:${row.startedAtMs}:${row.executable}`;

function toFacts(row: PsRow, words: string[] | undefined): ProcessFacts {
  const { pid, parentPid, uid, user, executable, startedAtMs } = row;
  return {
    pid,
    parentPid,
    key: keyOf(row),
    name: baseName(executable),
    uid,
    user,
    argv: words ?? [],
    ...(startedAtMs !== undefined && { startedAtMs }),
    ...(executable.startsWith("/") && { executable }),
  };
}
