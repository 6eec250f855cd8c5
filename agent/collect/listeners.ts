import type { Collector } from "../../shared/wire/heartbeat.ts";
import { type Files, optional } from "./files.ts";
import type { Listener, Peer } from "./host.ts";
import { joinPeers } from "./peers.ts";
import type { LinuxProcess } from "./processes.ts";
import { createReach } from "./reach.ts";
import { parseTcpTable, type TcpRow } from "./sockets.ts";

const TABLES = ["tcp", "tcp6"] as const;
const TABLE_BYTES_MAX = 4 * 1024 * 1024;
/** Time to look for the owners of new sockets in one scan: a full first pass, or the clients of engines. */
const OWNERS_MS_MAX = 150;
const PEERS_MS_MAX = 5;
/** Each foreign namespace costs two tables (about 2 ms): they take turns. */
const FOREIGN_TABLES_PER_SCAN = 4;
const RETRY_SCANS_MAX = 64;

type Owner = { pid: number; key: string };
/** `bornMs`: all processes up to this birth were searched, so that only younger ones need be. */
type Miss = { next: number; step: number; bornMs: number };

/** Births are known to a tick, and the clock of the boot to a second. */
const BIRTH_SLACK_MS = 2000;

export type SocketTable = {
  read(processes: ReadonlyMap<number, LinuxProcess>): { listeners: Listener[]; collector: Collector };
  peers(listeners: readonly Listener[]): { peers: Map<string, Peer[]>; collector: Collector };
};

/**
 * Listening sockets of every readable network namespace, with the process that owns each. The tables are read
 * in every scan; file descriptors only when an inode appears whose owner is not known yet.
 */
export function createSocketTable(deps: {
  files: Files;
  procRoot: string;
  sysRoot: string;
  selfPid: number;
  elapsed: () => number;
}): SocketTable {
  const { files, procRoot } = deps;
  const reach = createReach(deps);
  const owners = new Map<string, Owner>();
  const misses = new Map<string, Miss>();
  const own = new Map<string, TcpRow[] | undefined>();
  const foreign = new Map<string, TcpRow[]>();
  let turn: string[] = [];
  let rows: TcpRow[] = [];
  let processes: ReadonlyMap<number, LinuxProcess> = new Map();
  let scans = 0;

  return { read, peers };

  function read(current: ReadonlyMap<number, LinuxProcess>) {
    processes = current;
    scans += 1;
    readOwn();
    const spaces = foreignSpaces();
    readForeign(spaces);
    const mine = [...own.values()].flatMap((table) => table ?? []);
    rows = [...mine, ...[...foreign.values()].flat()];
    const listening = rows.filter((row) => row.state === "listen" && row.inode !== "0");
    forgetGone(new Set(rows.map((row) => row.inode)));
    findOwners(due(listening), OWNERS_MS_MAX);
    const found: Listener[] = mine
      .filter((row) => row.state === "listen")
      .map((row) => toListener(row, "own"));
    let unreachable = 0;
    for (const [space, table] of foreign) {
      for (const row of table.filter((candidate) => candidate.state === "listen")) {
        const listener = toListener(row, space, spaces.get(space));
        if (listener.reachableAt === undefined) unreachable += 1;
        found.push(listener);
      }
    }
    return {
      listeners: found,
      collector: report(
        [...own.values()].some((table) => table !== undefined),
        found,
        unreachable,
      ),
    };
  }

  /** Each table makes the kernel walk all its sockets (about 2 ms): IPv4 and IPv6 take turns after the first scan. */
  function readOwn(): void {
    for (const [at, name] of TABLES.entries()) {
      if (scans > 1 && (scans + at) % TABLES.length !== 0) continue;
      own.set(name, readTable(`${procRoot}/net/${name}`));
    }
  }

  function readTable(path: string): TcpRow[] | undefined {
    return optional(() => parseTcpTable(files.text(path, TABLE_BYTES_MAX, "latin1")));
  }

  function readTables(directory: string): TcpRow[] {
    return TABLES.flatMap((name) => readTable(`${directory}/${name}`) ?? []);
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

  function readForeign(spaces: ReadonlyMap<string, number>): void {
    for (const space of foreign.keys()) if (!spaces.has(space)) foreign.delete(space);
    turn = [
      ...[...spaces.keys()].filter((space) => !turn.includes(space)),
      ...turn.filter((s) => spaces.has(s)),
    ];
    const limit = foreign.size === 0 ? turn.length : FOREIGN_TABLES_PER_SCAN;
    for (const space of turn.splice(0, limit)) {
      foreign.set(space, readTables(`${procRoot}/${spaces.get(space)}/net`));
      turn.push(space);
    }
  }

  function forgetGone(alive: ReadonlySet<string>): void {
    for (const [inode, owner] of owners) {
      if (!alive.has(inode) || processes.get(owner.pid)?.key !== owner.key) owners.delete(inode);
    }
    for (const inode of misses.keys()) if (!alive.has(inode)) misses.delete(inode);
  }

  /** Inodes without a known owner whose turn it is: one that was not found is looked for ever more rarely. */
  function due(listening: readonly TcpRow[]): Set<string> {
    const wanted = new Set<string>();
    for (const { inode } of listening) {
      if (!owners.has(inode) && (misses.get(inode)?.next ?? 0) <= scans) wanted.add(inode);
    }
    return wanted;
  }

  function findOwners(wanted: Set<string>, budgetMs: number): void {
    if (wanted.size === 0) return;
    const startedAt = deps.elapsed();
    // A new socket mostly belongs to a new process.
    const order = [...processes.values()].sort((a, b) => (b.startedAtMs ?? 0) - (a.startedAtMs ?? 0));
    const searchedMs = Math.min(...[...wanted].map((inode) => misses.get(inode)?.bornMs ?? 0));
    let bornMs = order[0]?.startedAtMs ?? 0;
    for (const process of order) {
      if (wanted.size === 0 || (process.startedAtMs ?? 0) < searchedMs - BIRTH_SLACK_MS) break;
      if (deps.elapsed() - startedAt > budgetMs) {
        bornMs = 0;
        break;
      }
      for (const inode of socketsOf(process.pid)) {
        if (!wanted.delete(inode)) continue;
        owners.set(inode, firstHolder(inode, process));
        misses.delete(inode);
      }
    }
    for (const inode of wanted) {
      const step = Math.min((misses.get(inode)?.step ?? 0) * 4 || 1, RETRY_SCANS_MAX);
      // Once in a while all are searched again: a socket can be handed to a process older than it.
      misses.set(inode, { next: scans + step, step, bornMs: step < RETRY_SCANS_MAX ? bornMs : 0 });
    }
  }

  /** Workers inherit the socket of the server that forked them: the topmost holder is the server. */
  function firstHolder(inode: string, process: LinuxProcess): Owner {
    let holder = process;
    for (let hops = 0; hops < 8; hops += 1) {
      const parent = processes.get(holder.parentPid);
      // Socket activation leaves the socket open in init as well.
      if (!parent || parent.pid === 1 || !socketsOf(parent.pid).includes(inode)) break;
      holder = parent;
    }
    return { pid: holder.pid, key: holder.key };
  }

  function socketsOf(pid: number): string[] {
    const inodes: string[] = [];
    for (const descriptor of optional(() => files.list(`${procRoot}/${pid}/fd`)) ?? []) {
      const link = optional(() => files.link(`${procRoot}/${pid}/fd/${descriptor}`));
      if (link?.startsWith("socket:[")) inodes.push(link.slice(8, -1));
    }
    return inodes;
  }

  function toListener(row: TcpRow, space: string, witness?: number): Listener {
    const owner = owners.get(row.inode);
    const reachableAt =
      witness === undefined ? reach.own(row.localAddress) : reach.foreign(row.localAddress, witness);
    return {
      key: `${space}/${row.inode}/${row.localAddress}:${row.localPort}`,
      address: row.localAddress,
      port: row.localPort,
      uid: row.uid,
      ...(owner && { pid: owner.pid }),
      ...(reachableAt !== undefined && { reachableAt }),
    };
  }

  function report(readable: boolean, found: readonly Listener[], unreachable: number): Collector {
    if (!readable) return { name: "listeners", status: "failed", detail: "/proc/net/tcp not readable" };
    const ownerless = found.filter((listener) => listener.pid === undefined).length;
    const problems = [
      ...(ownerless > 0 ? [`${ownerless} of ${found.length} listeners have no readable owner`] : []),
      ...(unreachable > 0 ? [`${unreachable} in other network namespaces cannot be reached`] : []),
    ];
    if (problems.length > 0) return { name: "listeners", status: "partial", detail: problems.join("; ") };
    return { name: "listeners", status: "ok", detail: `${found.length} listeners` };
  }

  function peers(listeners: readonly Listener[]) {
    return joinPeers(listeners, rows, (wanted) => {
      findOwners(new Set([...wanted].filter((inode) => !owners.has(inode))), PEERS_MS_MAX);
      return (inode) => owners.get(inode)?.pid;
    });
  }
}
