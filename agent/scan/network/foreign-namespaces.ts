import { type Files, optional } from "../system/files.ts";
import type { LinuxProcess } from "../system/linux-process.ts";
import { readTable, TABLES } from "./own-sockets.ts";
import type { TcpRow } from "./sockets.ts";

/**
 * Maximum number of namespaces read per scan. Consecutive scans rotate through all namespaces. Reading the
 * two tables of one namespace takes about 2 ms.
 */
const NAMESPACES_PER_SCAN = 4;

type Processes = ReadonlyMap<number, LinuxProcess>;

/**
 * TCP sockets of all network namespaces except the agent's own. Each namespace is read through one of its
 * processes.
 */
export class ForeignNamespaces {
  readonly #deps: { files: Files; procRoot: string; selfPid: number };
  /** By namespace name: the pid of the process through which the namespace is read. */
  #witnesses: ReadonlyMap<string, number> = new Map();
  readonly #tables = new Map<string, TcpRow[]>();
  readonly #unreadable = new Set<string>();
  /** Names of the namespaces, in the order in which they are read next. */
  #queue: string[] = [];
  #processes: Processes = new Map();

  constructor(deps: { files: Files; procRoot: string; selfPid: number }) {
    this.#deps = deps;
  }

  /** Reads the next namespaces in the queue. The first call reads all namespaces. */
  read(processes: Processes): void {
    if (processes !== this.#processes) {
      this.#processes = processes;
      this.#witnesses = this.#findWitnesses();
    }
    for (const name of this.#tables.keys()) if (!this.#witnesses.has(name)) this.#tables.delete(name);
    for (const name of this.#unreadable) if (!this.#witnesses.has(name)) this.#unreadable.delete(name);
    this.#queue = [
      ...[...this.#witnesses.keys()].filter((name) => !this.#queue.includes(name)),
      ...this.#queue.filter((name) => this.#witnesses.has(name)),
    ];
    const limit = this.#tables.size === 0 ? this.#queue.length : NAMESPACES_PER_SCAN;
    for (const name of this.#queue.splice(0, limit)) {
      this.#readOne(name);
      this.#queue.push(name);
    }
  }

  /** Sockets of all namespaces as of their last read. Each row contains its namespace name. */
  rows(): TcpRow[] {
    return [...this.#tables.values()].flat();
  }

  witnessOf(name: string | undefined): number | undefined {
    return name === undefined ? undefined : this.#witnesses.get(name);
  }

  unreadableCount(): number {
    return this.#unreadable.size;
  }

  /** Number of namespaces that were never read and are still in the queue. */
  waitingCount(): number {
    const unread = [...this.#witnesses.keys()].filter((name) => !this.#tables.has(name));
    return unread.length - this.#unreadable.size;
  }

  #findWitnesses(): Map<string, number> {
    const { files, procRoot, selfPid } = this.#deps;
    const own =
      this.#processes.get(selfPid)?.network ?? optional(() => files.link(`${procRoot}/self/ns/net`));
    const witnesses = new Map<string, number>();
    for (const { network, pid } of this.#processes.values()) {
      if (network && own && network !== own && !witnesses.has(network)) witnesses.set(network, pid);
    }
    return witnesses;
  }

  #readOne(name: string): void {
    const { files, procRoot } = this.#deps;
    const witness = this.#witnesses.get(name)!;
    const directory = `${this.#processes.get(witness)?.directory ?? `${procRoot}/${witness}`}/net`;
    const tables = TABLES.map((table) => readTable(files, `${directory}/${table}`));
    if (tables.every((rows) => rows === undefined)) {
      this.#tables.delete(name);
      this.#unreadable.add(name);
      return;
    }
    const rows = tables.flatMap((table) => table ?? []);
    for (const row of rows) row.network = name;
    this.#tables.set(name, rows);
    this.#unreadable.delete(name);
  }
}
