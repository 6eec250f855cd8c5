import { type Files, optional } from "../system/files.ts";
import type { LinuxProcess } from "../system/linux-process.ts";
import type { TcpRow } from "./sockets.ts";

/** Maximum number of scans between two searches for the same socket. */
const RETRY_SCANS_MAX = 64;
/** Maximum number of ancestors of a process that are searched for the same socket. */
const ANCESTORS_MAX = 8;
/** Maximum number of descendants of a server that are searched for its socket. */
const DESCENDANTS_MAX = 64;
/** Number of processes that are searched between two checks of the time budget. */
const PROCESSES_PER_CHECK = 4;
/**
 * Tolerance in milliseconds for comparing start times. Start times have the precision of a clock tick, and
 * the boot time has the precision of a second.
 */
const BIRTH_SLACK_MS = 2000;

type Owner = { pid: number; key: string };

/**
 * A socket without a known owner. `next`: number of the scan that repeats the search. `step`: number of scans
 * between two searches. `bornMs`: all processes that started before this time were searched.
 */
type Miss = { next: number; step: number; bornMs: number };

type Processes = ReadonlyMap<number, LinuxProcess>;

/** A process with its start time in epoch milliseconds. */
type Aged = { process: LinuxProcess; bornMs: number };

/**
 * Order of a search. The first search starts with the largest processes, because servers are large. Later
 * searches start with the youngest processes, because a new socket usually belongs to a new process.
 */
type Order = "largest first" | "youngest first";

/**
 * Finds the process that owns each socket, by the socket's inode. File descriptors are read only to find
 * sockets without a known owner. A failed search is repeated at growing intervals. Until the interval reaches
 * its maximum, a repeated search covers only processes that started since the last search.
 */
export class SocketOwners {
  /** True if the last search exceeded its budget. */
  isCut = false;
  readonly #deps: { files: Files; procRoot: string; cpuMs: () => number };
  readonly #owners = new Map<string, Owner>();
  readonly #misses = new Map<string, Miss>();
  /** Sockets by pid, cached during one search because many servers share a parent. */
  readonly #held = new Map<number, readonly string[]>();
  #children: ReadonlyMap<number, LinuxProcess[]> | undefined;
  #processes: Processes = new Map();
  /** Processes by start time, youngest first. Undefined until a search needs the order. */
  #youngestFirst: readonly Aged[] | undefined;
  #scans = 0;

  constructor(deps: { files: Files; procRoot: string; cpuMs: () => number }) {
    this.#deps = deps;
  }

  /** Starts a scan with the current processes. */
  begin(processes: Processes): void {
    if (this.#processes !== processes) this.#youngestFirst = undefined;
    this.#processes = processes;
    this.#scans += 1;
  }

  ownerOf(inode: string): number | undefined {
    return this.#owners.get(inode)?.pid;
  }

  /** Removes entries for sockets or processes that no longer exist. Returns true if it removed an owner. */
  forgetGone(rows: readonly TcpRow[]): boolean {
    const alive = new Set(rows.map((row) => row.inode));
    let isForgotten = false;
    for (const [inode, owner] of this.#owners) {
      if (alive.has(inode) && this.#processes.get(owner.pid)?.key === owner.key) continue;
      this.#owners.delete(inode);
      isForgotten = true;
    }
    for (const inode of this.#misses.keys()) if (!alive.has(inode)) this.#misses.delete(inode);
    return isForgotten;
  }

  /** Inodes of the sockets that have no known owner and are due for a search. */
  due(listening: readonly TcpRow[]): Set<string> {
    const wanted = new Set<string>();
    for (const { inode } of listening) {
      if (inode === "0" || this.#owners.has(inode)) continue;
      if ((this.#misses.get(inode)?.next ?? 0) <= this.#scans) wanted.add(inode);
    }
    return wanted;
  }

  /** Returns the given inodes that have no known owner. */
  unknown(inodes: Iterable<string>): Set<string> {
    return new Set([...inodes].filter((inode) => !this.#owners.has(inode)));
  }

  /**
   * Searches for the owners of `wanted` within a budget of processor time. Returns the pids of the owners
   * found, and removes their inodes from `wanted`.
   */
  find(wanted: Set<string>, budgetMs: number, order: Order = "youngest first"): ReadonlySet<number> {
    const found = new Set<number>();
    this.isCut = false;
    if (wanted.size === 0) return found;
    const bornMs = this.#search(order, wanted, budgetMs, found);
    this.#noteMisses(wanted, bornMs);
    this.#held.clear();
    this.#children = undefined;
    return found;
  }

  /** Returns the start time of the youngest process if all processes were searched, else 0. */
  #search(order: Order, wanted: Set<string>, budgetMs: number, found: Set<number>): number {
    const { cpuMs } = this.#deps;
    const startedAt = cpuMs();
    let searched = 0;
    this.#youngestFirst ??= byAge(this.#processes);
    const youngestMs = this.#youngestFirst[0]?.bornMs ?? 0;
    const searchedMs = Math.min(...[...wanted].map((inode) => this.#misses.get(inode)?.bornMs ?? 0));
    for (const { process, bornMs } of order === "largest first"
      ? bySize(this.#processes)
      : this.#youngestFirst) {
      if (wanted.size === 0) break;
      if (bornMs < searchedMs - BIRTH_SLACK_MS) continue;
      searched += 1;
      if (searched % PROCESSES_PER_CHECK === 0 && cpuMs() - startedAt > budgetMs) {
        this.isCut = true;
        return 0;
      }
      for (const inode of this.#socketsOf(process.pid)) {
        if (!wanted.delete(inode)) continue;
        const owner = this.#firstHolder(inode, process);
        this.#owners.set(inode, owner);
        this.#misses.delete(inode);
        found.add(owner.pid);
      }
    }
    return youngestMs;
  }

  #noteMisses(inodes: Iterable<string>, bornMs: number): void {
    for (const inode of inodes) {
      const before = this.#misses.get(inode)?.step ?? 0;
      const step = this.isCut ? 1 : Math.min(before * 4 || 1, RETRY_SCANS_MAX);
      // A process can pass its socket to an older process, so the search at the longest interval covers all
      // processes.
      this.#misses.set(inode, {
        next: this.#scans + step,
        step,
        bornMs: step < RETRY_SCANS_MAX ? bornMs : 0,
      });
    }
  }

  /**
   * The owner is the topmost process that holds the socket, because forked workers inherit the socket of
   * their server. A process with another user and another program is an exception: its responses must not be
   * attributed to the server.
   */
  #firstHolder(inode: string, process: LinuxProcess): Owner {
    let holder = process;
    for (let hops = 0; hops < ANCESTORS_MAX; hops += 1) {
      const parent = this.#processes.get(holder.parentPid);
      // With socket activation, init also holds the socket.
      if (!parent || parent.pid === 1 || !this.#socketsOf(parent.pid).includes(inode)) break;
      if (this.#isStranger(parent, holder)) break;
      holder = parent;
    }
    const { pid, key } = this.#strangerBelow(inode, holder) ?? holder;
    return { pid, key };
  }

  #strangerBelow(inode: string, server: LinuxProcess): LinuxProcess | undefined {
    if (server.pid === 1) return undefined;
    this.#children ??= Map.groupBy(this.#processes.values(), ({ parentPid }) => parentPid);
    const queue = [...(this.#children.get(server.pid) ?? [])];
    for (let at = 0; at < queue.length && at < DESCENDANTS_MAX; at += 1) {
      const one = queue[at]!;
      if (this.#isStranger(server, one) && this.#socketsOf(one.pid).includes(inode)) return one;
      queue.push(...(this.#children.get(one.pid) ?? []));
    }
    return undefined;
  }

  /**
   * True if the processes have different users and different executables. Executables are equal if they have
   * the same path in the same mount namespace. The kernel resolves both links without a request to a file
   * system.
   */
  #isStranger(one: LinuxProcess, other: LinuxProcess): boolean {
    if (one.uid === other.uid) return false;
    const isSamePath = one.executable !== undefined && one.executable === other.executable;
    return !isSamePath || this.#mountNamespaceOf(one.pid) !== this.#mountNamespaceOf(other.pid);
  }

  #mountNamespaceOf(pid: number): string | undefined {
    const { files, procRoot } = this.#deps;
    return optional(() => files.link(`${procRoot}/${pid}/ns/mnt`));
  }

  #socketsOf(pid: number): readonly string[] {
    const before = this.#held.get(pid);
    if (before) return before;
    const { files, procRoot } = this.#deps;
    const inodes: string[] = [];
    this.#held.set(pid, inodes);
    const directory = this.#processes.get(pid)?.directory ?? `${procRoot}/${pid}`;
    for (const descriptor of optional(() => files.list(`${directory}/fd`)) ?? []) {
      const link = optional(() => files.link(`${directory}/fd/${descriptor}`));
      if (link?.startsWith("socket:[")) inodes.push(link.slice(8, -1));
    }
    return inodes;
  }
}

const withAge = (process: LinuxProcess): Aged => ({ process, bornMs: process.startedAtMs ?? 0 });

const byAge = (processes: Processes): Aged[] =>
  [...processes.values()].map(withAge).sort((a, b) => b.bornMs - a.bornMs);

const bySize = (processes: Processes): Aged[] =>
  [...processes.values()].sort((a, b) => b.virtualBytes - a.virtualBytes).map(withAge);
