import type { Collector } from "../../../shared/wire/heartbeat.ts";
import { type Files, optional } from "../system/files.ts";
import type { Listener } from "../system/host.ts";
import type { LinuxProcess } from "../system/linux-process.ts";
import { joinPeers, type Peers } from "./client-connections.ts";
import type { Namespaces } from "./namespaces.ts";
import { createOwnSockets, readTable, TABLES } from "./own-sockets.ts";
import { createReach, linkLocalDetail, linkLocalUnasked } from "./reachable-address.ts";
import type { SocketDiag } from "./sock-diag.ts";
import { TCP_ROWS_MAX, type TcpRow } from "./sockets.ts";

/** Time to look for the owners of new sockets in one scan: all of them in the first, or the clients of engines. */
const OWNERS_FIRST_MS_MAX = 1000;
const OWNERS_MS_MAX = 150;
const PEERS_MS_MAX = 5;
/** Each foreign namespace costs two tables (about 2 ms): they take turns. */
const FOREIGN_TABLES_PER_SCAN = 4;
const RETRY_SCANS_MAX = 64;

/** Processes below a server that are looked at for a socket of it. */
const DESCENDANTS_MAX = 64;

type Owner = { pid: number; key: string };
/** `bornMs`: all processes up to this birth were searched, so that only younger ones need be. */
type Miss = { next: number; step: number; bornMs: number };

/** Births are known to a tick, and the clock of the boot to a second. */
const BIRTH_SLACK_MS = 2000;

export type SocketTable = {
  /** `owners`: processes that hold a socket which was not there before. Unchanged listeners are the same list. */
  read(processes: ReadonlyMap<number, LinuxProcess>): {
    listeners: readonly Listener[];
    owners: ReadonlySet<number>;
    collector: Collector;
    /** What there was no time for. */
    waiting: readonly string[];
  };
  peers(listeners: readonly Listener[]): Peers;
};

/**
 * Listening sockets of every readable network namespace, with the process that owns each. The sockets are read
 * in every scan; file descriptors only when an inode appears whose owner is not known yet.
 */
export function createSocketTable(deps: {
  files: Files;
  procRoot: string;
  sysRoot: string;
  selfPid: number;
  /** Processor time of this process, milliseconds: on a busy host a clock would run out before anything was done. */
  cpuMs: () => number;
  namespaces: Pick<Namespaces, "isAllowed">;
  diag: SocketDiag | undefined;
}): SocketTable {
  const { files, procRoot } = deps;
  const reach = createReach(deps);
  const sockets = createOwnSockets(deps);
  const owners = new Map<string, Owner>();
  const misses = new Map<string, Miss>();
  const foreign = new Map<string, TcpRow[]>();
  /** Other network namespaces whose tables could not be read. */
  const closed = new Set<string>();
  /** Sockets of the processes looked into in one search: the parent of twenty servers is asked once. */
  const held = new Map<number, readonly string[]>();
  let children: ReadonlyMap<number, LinuxProcess[]> | undefined;
  let spaces: ReadonlyMap<string, number> = new Map();
  let turn: string[] = [];
  let processes: ReadonlyMap<number, LinuxProcess> = new Map();
  let established: readonly TcpRow[] = [];
  let listeners: readonly Listener[] = [];
  let asked: { listeners: readonly Listener[]; rows: readonly TcpRow[]; answer: Peers } | undefined;
  let scans = 0;
  /** The last search for owners ran out of time. */
  let isCut = false;

  return { read, peers };

  function read(current: ReadonlyMap<number, LinuxProcess>) {
    scans += 1;
    const own = sockets.listening();
    if (processes !== current) {
      processes = current;
      spaces = foreignSpaces();
    }
    readForeign();
    const elsewhere = [...foreign.values()].flat();
    forgetGone([...(own ?? []), ...established, ...elsewhere]);
    const isListening = (row: TcpRow): boolean => row.state === "listen";
    const listening = [...(own ?? []), ...elsewhere.filter(isListening)];
    const fresh =
      scans === 1
        ? findOwners(due(listening), OWNERS_FIRST_MS_MAX, bySize)
        : findOwners(due(listening), OWNERS_MS_MAX);
    const found = listening.map((row) =>
      toListener(row, row.network ?? "own", spaces.get(row.network ?? "")),
    );
    // A new owner may be a new program behind a socket that stayed.
    listeners = fresh.size > 0 ? found : sameOr(listeners, found);
    const unread = [...spaces.keys()].filter((space) => !foreign.has(space)).length - closed.size;
    const waiting = [
      ...(isCut ? ["the owners of some listeners were not looked for in time"] : []),
      ...(unread > 0 ? [`${unread} network namespaces wait for the next scan`] : []),
    ];
    const collector = report(own, found, waiting);
    return { listeners, owners: fresh, collector, waiting };
  }

  /** Network namespaces other than the agent's own, each with one process that lives in it. */
  function foreignSpaces(): Map<string, number> {
    const home =
      processes.get(deps.selfPid)?.network ?? optional(() => files.link(`${procRoot}/self/ns/net`));
    const spaces = new Map<string, number>();
    for (const process of processes.values()) {
      if (process.network && home && process.network !== home && !spaces.has(process.network)) {
        spaces.set(process.network, process.pid);
      }
    }
    return spaces;
  }

  function readForeign(): void {
    for (const space of foreign.keys()) if (!spaces.has(space)) foreign.delete(space);
    for (const space of closed) if (!spaces.has(space)) closed.delete(space);
    turn = [
      ...[...spaces.keys()].filter((space) => !turn.includes(space)),
      ...turn.filter((s) => spaces.has(s)),
    ];
    const limit = foreign.size === 0 ? turn.length : FOREIGN_TABLES_PER_SCAN;
    for (const space of turn.splice(0, limit)) {
      const witness = spaces.get(space)!;
      const directory = `${processes.get(witness)?.directory ?? `${procRoot}/${witness}`}/net`;
      const tables = TABLES.map((name) => readTable(files, `${directory}/${name}`));
      const table = tables.flatMap((rows) => rows ?? []);
      for (const row of table) row.network = space;
      turn.push(space);
      if (tables.every((rows) => rows === undefined)) {
        foreign.delete(space);
        closed.add(space);
      } else {
        foreign.set(space, table);
        closed.delete(space);
      }
    }
  }

  function forgetGone(rows: readonly TcpRow[]): void {
    const alive = new Set(rows.map((row) => row.inode));
    for (const [inode, owner] of owners) {
      if (alive.has(inode) && processes.get(owner.pid)?.key === owner.key) continue;
      owners.delete(inode);
      asked = undefined;
    }
    for (const inode of misses.keys()) if (!alive.has(inode)) misses.delete(inode);
  }

  /** Inodes without a known owner whose turn it is: one that was not found is looked for ever more rarely. */
  function due(listening: readonly TcpRow[]): Set<string> {
    const wanted = new Set<string>();
    for (const { inode } of listening) {
      if (inode === "0" || owners.has(inode)) continue;
      if ((misses.get(inode)?.next ?? 0) <= scans) wanted.add(inode);
    }
    return wanted;
  }

  /** The processes that were found to hold one of them. */
  function findOwners(wanted: Set<string>, budgetMs: number, by = byBirth): ReadonlySet<number> {
    const holders = new Set<number>();
    isCut = false;
    if (wanted.size === 0) return holders;
    const startedAt = deps.cpuMs();
    const order = [...processes.values()].sort(by);
    const searchedMs = Math.min(...[...wanted].map((inode) => misses.get(inode)?.bornMs ?? 0));
    let bornMs = Math.max(0, ...order.map((process) => process.startedAtMs ?? 0));
    for (const process of order) {
      if (wanted.size === 0) break;
      if ((process.startedAtMs ?? 0) < searchedMs - BIRTH_SLACK_MS) continue;
      if (deps.cpuMs() - startedAt > budgetMs) {
        bornMs = 0;
        isCut = true;
        break;
      }
      for (const inode of socketsOf(process.pid)) {
        if (!wanted.delete(inode)) continue;
        const owner = firstHolder(inode, process);
        owners.set(inode, owner);
        holders.add(owner.pid);
        misses.delete(inode);
      }
    }
    for (const inode of wanted) {
      const step = isCut ? 1 : Math.min((misses.get(inode)?.step ?? 0) * 4 || 1, RETRY_SCANS_MAX);
      // Once in a while all are searched again: a socket can be handed to a process older than it.
      misses.set(inode, { next: scans + step, step, bornMs: step < RETRY_SCANS_MAX ? bornMs : 0 });
    }
    held.clear();
    children = undefined;
    return holders;
  }

  /**
   * Workers inherit the socket of the server that forked them: the topmost holder is the server. Another program of
   * another user that was left the socket answers in its own name: what it says must not be the server's.
   */
  function firstHolder(inode: string, process: LinuxProcess): Owner {
    let holder = process;
    for (let hops = 0; hops < 8; hops += 1) {
      const parent = processes.get(holder.parentPid);
      // Socket activation leaves the socket open in init as well.
      if (!parent || parent.pid === 1 || !socketsOf(parent.pid).includes(inode)) break;
      if (isStranger(parent, holder)) break;
      holder = parent;
    }
    const { pid, key } = strangerBelow(inode, holder) ?? holder;
    return { pid, key };
  }

  function strangerBelow(inode: string, server: LinuxProcess): LinuxProcess | undefined {
    if (server.pid === 1) return undefined;
    children ??= Map.groupBy(processes.values(), ({ parentPid }) => parentPid);
    const queue = [...(children.get(server.pid) ?? [])];
    for (let at = 0; at < queue.length && at < DESCENDANTS_MAX; at += 1) {
      const one = queue[at]!;
      if (isStranger(server, one) && socketsOf(one.pid).includes(inode)) return one;
      queue.push(...(children.get(one.pid) ?? []));
    }
    return undefined;
  }

  /**
   * Of another user and with another executable. Two are the same at one path of one mount namespace: links, which the
   * kernel answers by itself, so that no file system has to.
   */
  function isStranger(one: LinuxProcess, other: LinuxProcess): boolean {
    if (one.uid === other.uid) return false;
    const isSamePath = one.executable !== undefined && one.executable === other.executable;
    return !isSamePath || mountsOf(one.pid) !== mountsOf(other.pid);
  }

  function mountsOf(pid: number): string | undefined {
    return optional(() => files.link(`${procRoot}/${pid}/ns/mnt`));
  }

  function socketsOf(pid: number): readonly string[] {
    const before = held.get(pid);
    if (before) return before;
    const inodes: string[] = [];
    held.set(pid, inodes);
    const directory = processes.get(pid)?.directory ?? `${procRoot}/${pid}`;
    for (const descriptor of optional(() => files.list(`${directory}/fd`)) ?? []) {
      const link = optional(() => files.link(`${directory}/fd/${descriptor}`));
      if (link?.startsWith("socket:[")) inodes.push(link.slice(8, -1));
    }
    return inodes;
  }

  function toListener(row: TcpRow, space: string, witness?: number): Listener {
    const owner = owners.get(row.inode);
    const bridged = witness === undefined ? undefined : reach.foreign(row.localAddress, witness);
    const isInside = witness !== undefined && bridged === undefined && deps.namespaces.isAllowed();
    // An interface is this network's own: within another one none is named.
    const own = reach.own(row.localAddress);
    const inner = own?.includes("%") ? undefined : own;
    const reachableAt = witness === undefined ? own : isInside ? inner : bridged;
    return {
      key: `${space}/${row.inode}/${row.localAddress}:${row.localPort}`,
      address: row.localAddress,
      port: row.localPort,
      uid: row.uid,
      ...(owner && { pid: owner.pid }),
      ...(reachableAt !== undefined && { reachableAt }),
      ...(witness !== undefined && { network: space }),
      ...(isInside && { inside: { pid: witness, name: space } }),
    };
  }

  function report(
    own: readonly TcpRow[] | undefined,
    found: readonly Listener[],
    waiting: readonly string[],
  ): Collector {
    if (!own) return { name: "listeners", status: "failed", detail: "/proc/net/tcp not readable" };
    const ownerless = found.filter((listener) => listener.pid === undefined).length;
    const unreachable = found.filter(
      ({ network, reachableAt }) => network !== undefined && reachableAt === undefined,
    ).length;
    const linkLocal = linkLocalUnasked(found);
    const problems = [
      ...waiting,
      ...(own.length >= TCP_ROWS_MAX ? [`more than ${TCP_ROWS_MAX} listeners: the rest was not read`] : []),
      ...(closed.size > 0 ? [`${closed.size} other network namespaces not readable`] : []),
      ...(ownerless > 0 ? [`${ownerless} of ${found.length} listeners have no readable owner`] : []),
      ...(unreachable > 0
        ? [`${unreachable} in other network namespaces not asked: entering those needs CAP_SYS_ADMIN`]
        : []),
      ...(linkLocal > 0 ? [linkLocalDetail(linkLocal)] : []),
    ];
    if (problems.length > 0) return { name: "listeners", status: "partial", detail: problems.join("; ") };
    return { name: "listeners", status: "ok", detail: `${found.length} listeners` };
  }

  function peers(of: readonly Listener[]): Peers {
    established = of.length === 0 ? [] : sockets.established(asked?.listeners !== of);
    const rows = [...established, ...[...foreign.values()].flat()];
    if (asked?.listeners === of && isSameList(asked.rows, rows) && isAnswerWhole()) return asked.answer;
    const answer = joinPeers(of, rows, (wanted) => {
      // A single scan has no next one to find the rest.
      const budgetMs = scans === 1 ? OWNERS_MS_MAX : PEERS_MS_MAX;
      findOwners(new Set([...wanted].filter((inode) => !owners.has(inode))), budgetMs);
      return (inode) => owners.get(inode)?.pid;
    });
    asked = { listeners: of, rows, answer };
    return answer;
  }

  /** Connections without an owner are looked for again. */
  function isAnswerWhole(): boolean {
    return asked?.answer.collector.status === "ok";
  }
}

/** Nothing is new in the first scan: servers are large, and most processes are small. */
const bySize = (a: LinuxProcess, b: LinuxProcess): number => b.virtualBytes - a.virtualBytes;

/** A new socket mostly belongs to a new process. */
const byBirth = (a: LinuxProcess, b: LinuxProcess): number => (b.startedAtMs ?? 0) - (a.startedAtMs ?? 0);

const isSameList = <T>(before: readonly T[], after: readonly T[]): boolean =>
  before.length === after.length && before.every((one, at) => one === after[at]);

/** The older list when the newer one says the same of the same listeners, in the same order. */
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
