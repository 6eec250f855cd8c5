import type { Collector } from "../../../shared/wire/heartbeat.ts";
import type { Files } from "../system/files.ts";
import type { Listener } from "../system/host.ts";
import type { LinuxProcess } from "../system/linux-process.ts";
import { joinPeers, type Peers } from "./client-connections.ts";
import { ForeignNamespaces } from "./foreign-namespaces.ts";
import type { Namespaces } from "./namespaces.ts";
import { createOwnSockets, type OwnSockets } from "./own-sockets.ts";
import { createReach, linkLocalDetail, linkLocalUnprobed, type Reach } from "./reachable-address.ts";
import type { SocketDiag } from "./sock-diag.ts";
import { SocketOwners } from "./socket-owners.ts";
import { TCP_ROWS_MAX, type TcpRow } from "./sockets.ts";

/**
 * Budgets for finding socket owners, in milliseconds of processor time: one for the first scan, one for later
 * scans.
 */
const OWNERS_FIRST_MS_MAX = 1000;
const OWNERS_MS_MAX = 150;
/** Budget for finding the owners of client connections in later scans, in milliseconds of processor time. */
const PEERS_MS_MAX = 5;

export type SocketTable = {
  /** Reads the listeners. Returns the same array as before while they are unchanged. */
  read(processes: ReadonlyMap<number, LinuxProcess>): {
    listeners: readonly Listener[];
    /** Pids of processes that hold a socket which is new in this scan. */
    owners: ReadonlySet<number>;
    collector: Collector;
    /** Descriptions of the work that exceeded its budget. */
    waiting: readonly string[];
  };
  peers(listeners: readonly Listener[]): Peers;
};

type Dependencies = {
  files: Files;
  procRoot: string;
  sysRoot: string;
  selfPid: number;
  /** Processor time used by this process, in milliseconds. A wall-clock budget would run out on a busy host. */
  cpuMs: () => number;
  namespaces: Pick<Namespaces, "isAllowed">;
  diag: SocketDiag | undefined;
};

/**
 * Listening sockets of every readable network namespace, each with the process that owns it. Sockets are read
 * in every scan. File descriptors are read only when a socket has no known owner.
 */
export function createSocketTable(deps: Dependencies): SocketTable {
  const table = new LinuxSocketTable(deps);
  return {
    read: (processes) => table.read(processes),
    peers: (listeners) => table.peers(listeners),
  };
}

class LinuxSocketTable {
  readonly #namespaces: Dependencies["namespaces"];
  readonly #reach: Reach;
  readonly #own: OwnSockets;
  readonly #foreign: ForeignNamespaces;
  readonly #owners: SocketOwners;
  #established: readonly TcpRow[] = [];
  #listeners: readonly Listener[] = [];
  #lastPeers: { listeners: readonly Listener[]; rows: readonly TcpRow[]; peers: Peers } | undefined;
  #scans = 0;

  constructor(deps: Dependencies) {
    this.#namespaces = deps.namespaces;
    this.#reach = createReach(deps);
    this.#own = createOwnSockets(deps);
    this.#foreign = new ForeignNamespaces(deps);
    this.#owners = new SocketOwners(deps);
  }

  read(processes: ReadonlyMap<number, LinuxProcess>): ReturnType<SocketTable["read"]> {
    this.#scans += 1;
    const own = this.#own.listening();
    this.#foreign.read(processes);
    this.#owners.begin(processes);
    const elsewhere = this.#foreign.rows();
    if (this.#owners.forgetGone([...(own ?? []), ...this.#established, ...elsewhere]))
      this.#lastPeers = undefined;
    const listening = [...(own ?? []), ...elsewhere.filter((row) => row.state === "listen")];
    const owners = this.#findOwners(listening);
    const found = listening.map((row) => this.#toListener(row));
    // The owner of a known socket may have changed, so a newly found owner always produces a new array.
    this.#listeners = owners.size > 0 ? found : sameOr(this.#listeners, found);
    const waiting = this.#waiting();
    return { listeners: this.#listeners, owners, collector: this.#report(own, found, waiting), waiting };
  }

  peers(listeners: readonly Listener[]): Peers {
    const last = this.#lastPeers;
    const isSameListeners = last?.listeners === listeners;
    this.#established = listeners.length === 0 ? [] : this.#own.established(!isSameListeners);
    const rows = [...this.#established, ...this.#foreign.rows()];
    // Connections without an owner are searched again in every scan.
    if (last && isSameListeners && isSameList(last.rows, rows) && last.peers.collector.status === "ok")
      return last.peers;
    const peers = joinPeers(listeners, rows, (inodes) => {
      // The command `lz-agent scan` runs one scan only and cannot find missing owners later, so its budget is
      // larger.
      const budgetMs = this.#scans === 1 ? OWNERS_MS_MAX : PEERS_MS_MAX;
      this.#owners.find(this.#owners.unknown(inodes), budgetMs);
      return (inode) => this.#owners.ownerOf(inode);
    });
    this.#lastPeers = { listeners, rows, peers };
    return peers;
  }

  #findOwners(listening: readonly TcpRow[]): ReadonlySet<number> {
    const due = this.#owners.due(listening);
    if (this.#scans === 1) return this.#owners.find(due, OWNERS_FIRST_MS_MAX, "largest first");
    return this.#owners.find(due, OWNERS_MS_MAX);
  }

  #toListener(row: TcpRow): Listener {
    const witness = this.#foreign.witnessOf(row.network);
    const pid = this.#owners.ownerOf(row.inode);
    const space = row.network ?? "own";
    const bridged = witness === undefined ? undefined : this.#reach.foreign(row.localAddress, witness);
    const isInside = witness !== undefined && bridged === undefined && this.#namespaces.isAllowed();
    const own = this.#reach.own(row.localAddress);
    // An address with an interface (%eth0) is valid only in the agent's own namespace.
    const inner = own?.includes("%") ? undefined : own;
    const reachableAt = witness === undefined ? own : isInside ? inner : bridged;
    return {
      key: `${space}/${row.inode}/${row.localAddress}:${row.localPort}`,
      address: row.localAddress,
      port: row.localPort,
      uid: row.uid,
      ...(pid !== undefined && { pid }),
      ...(reachableAt !== undefined && { reachableAt }),
      ...(witness !== undefined && { network: space }),
      ...(isInside && { inside: { pid: witness, name: space } }),
    };
  }

  #waiting(): string[] {
    const unread = this.#foreign.waitingCount();
    return [
      ...(this.#owners.isCut
        ? ["the search for the owners of some listeners continues in the next scan"]
        : []),
      ...(unread > 0 ? [`${unread} network namespaces wait for the next scan`] : []),
    ];
  }

  #report(
    own: readonly TcpRow[] | undefined,
    found: readonly Listener[],
    waiting: readonly string[],
  ): Collector {
    if (!own) return { name: "listeners", status: "failed", detail: "could not read /proc/net/tcp" };
    const unreadable = this.#foreign.unreadableCount();
    const ownerless = found.filter((listener) => listener.pid === undefined).length;
    const unreachable = found.filter(
      ({ network, reachableAt }) => network !== undefined && reachableAt === undefined,
    ).length;
    const linkLocal = linkLocalUnprobed(found);
    const problems = [
      ...waiting,
      ...(own.length >= TCP_ROWS_MAX
        ? [`more than ${TCP_ROWS_MAX} listeners: the agent did not read the others`]
        : []),
      ...(unreadable > 0 ? [`could not read ${unreadable} other network namespaces`] : []),
      ...(ownerless > 0 ? [`${ownerless} of ${found.length} listeners have no readable owner`] : []),
      ...(unreachable > 0
        ? [`did not probe ${unreachable} listeners in other network namespaces: this needs CAP_SYS_ADMIN`]
        : []),
      ...(linkLocal > 0 ? [linkLocalDetail(linkLocal)] : []),
    ];
    if (problems.length > 0) return { name: "listeners", status: "partial", detail: problems.join("; ") };
    return { name: "listeners", status: "ok", detail: `${found.length} listeners` };
  }
}

const isSameList = <T>(before: readonly T[], after: readonly T[]): boolean =>
  before.length === after.length && before.every((one, at) => one === after[at]);

/** Returns the older list if both lists have the same listeners with the same facts in the same order. */
function sameOr(before: readonly Listener[], after: readonly Listener[]): readonly Listener[] {
  const isSame = (one: Listener, at: number): boolean => {
    const { key, pid, uid, reachableAt, inside } = before[at]!;
    return (
      one.key === key &&
      one.pid === pid &&
      one.uid === uid &&
      one.reachableAt === reachableAt &&
      one.inside?.pid === inside?.pid
    );
  };
  return before.length === after.length && after.every(isSame) ? before : after;
}
