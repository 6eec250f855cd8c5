import type { Collector } from "../../../shared/wire/heartbeat.ts";
import { tidy } from "../../../shared/wire/text.ts";
import { ancestorsOf } from "../processes/ancestors.ts";
import { attempt, type Files, optional } from "../system/files.ts";
import type { UnixListener } from "../system/host.ts";
import type { LinuxProcess } from "../system/linux-process.ts";
import { parseUnixTable, type UnixRow } from "./unix-table.ts";

const TABLE_BYTES_MAX = 4 * 1024 * 1024;
const DESCRIPTORS_MAX = 4096;
/** Maximum number of probed sockets. Sockets of stronger suspects come first. */
export const UNIX_LISTENERS_MAX = 64;
/** Number of scans after which the file descriptors of an unchanged process are listed again. */
const RELIST_SCANS = 8;

/**
 * Names of sockets that use other protocols. They belong to desktops, message buses, container engines, key
 * agents, databases and AI programs (internal sockets). The agent never connects to sockets with these names.
 */
const NEVER =
  /^(?:docker(?:d|\.raw)?\.sock|(?:system_)?bus.*|x\d+|agent\.\d+|s\.gpg-.*|\.s\.pgsql\..*|singletonsocket|private|notify|native)$|(?:^|[._-])(?:d-?bus|wayland|pulse|pipewire|containerd|podman|buildkitd?|crio|ssh|gpg|vscode|postgres(?:ql)?|mysqlx?d?|redis|memcached|plasma_store|raylet|zmq|ipc|nccl|tmux|lz-agent)(?:$|[._-])/i;
const NEVER_IN =
  /\/(?:\.x11-unix|\.ice-unix|systemd|dbus[^/]*|containerd|ssh-[^/]+|\.?gnupg|pulse|keyring)\//i;
/** File name endings that are usual for HTTP sockets. */
const USUAL = /\.(?:sock|socket|uds|http)$/i;

type Deps = { files: Files; procRoot: string; selfPid: number };

/**
 * Inodes of a process's sockets. `sockets` is undefined if the agent has no permission to list the file
 * descriptors.
 */
type Held = { key: string; sockets: readonly string[] | undefined; scan: number };

/** Results of a scan in progress. */
type Collected = { listeners: UnixListener[]; unreadable: number; cut: number };

/**
 * Finds listening unix sockets that are worth probing over HTTP. The inode of a file descriptor must show
 * that the socket belongs to a suspect process. In addition, the socket's name must be usual for HTTP or
 * appear on the command line of the process.
 */
export class UnixSocketTable {
  readonly #deps: Deps;
  readonly #held = new Map<number, Held>();
  #before: readonly UnixListener[] = [];
  #scans = 0;

  constructor(deps: Deps) {
    this.#deps = deps;
  }

  /**
   * `suspects`: processes with evidence from other sources, strongest evidence first. While nothing changes,
   * `listeners` is the same array as before.
   */
  read(
    suspects: readonly LinuxProcess[],
    processes: ReadonlyMap<number, LinuxProcess>,
  ): { listeners: readonly UnixListener[]; collector: Collector } {
    this.#scans += 1;
    const { files, procRoot, selfPid } = this.#deps;
    const ownNetwork =
      suspects.length > 0 ? optional(() => files.link(`${procRoot}/self/ns/net`)) : undefined;
    for (const pid of this.#held.keys()) if (!suspects.some((one) => one.pid === pid)) this.#held.delete(pid);
    const tables = new Map<string, readonly UnixRow[] | undefined>();
    const collected: Collected = { listeners: [], unreadable: 0, cut: 0 };
    for (const process of suspects) {
      if (process.pid === selfPid) continue;
      const network = process.network ?? ownNetwork ?? "";
      if (!tables.has(network)) tables.set(network, this.#tableOf(process));
      const toListener = (row: UnixRow): UnixListener =>
        listenerOf(row, process, processes, network === ownNetwork ? undefined : network);
      this.#collect(collected, process, tables.get(network), toListener);
    }
    const { listeners, unreadable, cut } = collected;
    if (!isSame(this.#before, listeners)) this.#before = listeners;
    return { listeners: this.#before, collector: report(listeners.length, unreadable, cut) };
  }

  #collect(
    collected: Collected,
    process: LinuxProcess,
    rows: readonly UnixRow[] | undefined,
    toListener: (row: UnixRow) => UnixListener,
  ): void {
    const sockets = rows?.length === 0 ? [] : this.#socketsOf(process);
    if (!rows || !sockets) collected.unreadable += 1;
    for (const row of rows ?? []) {
      if (!sockets?.includes(row.inode) || !isWorthAsking(row.name, process)) continue;
      if (collected.listeners.some(({ inode }) => inode === row.inode)) continue;
      if (collected.listeners.length >= UNIX_LISTENERS_MAX) collected.cut += 1;
      else collected.listeners.push(toListener(row));
    }
  }

  /**
   * Listening sockets in the network namespace of a process. Undefined if the agent has no permission to read
   * the socket table.
   */
  #tableOf({ directory }: LinuxProcess): UnixRow[] | undefined {
    const table = attempt(() =>
      parseUnixTable(this.#deps.files.text(`${directory}/net/unix`, TABLE_BYTES_MAX, "latin1")),
    );
    return "value" in table ? table.value : table.miss === "gone" ? [] : undefined;
  }

  /** Inodes of the sockets of a process. Undefined if the agent has no permission to list the file descriptors. */
  #socketsOf({ pid, key, directory }: LinuxProcess): readonly string[] | undefined {
    const known = this.#held.get(pid);
    if (known?.key === key && this.#scans - known.scan < RELIST_SCANS) return known.sockets;
    const { files } = this.#deps;
    const listing = attempt(() => files.list(`${directory}/fd`));
    const sockets =
      "miss" in listing
        ? listing.miss === "gone"
          ? []
          : undefined
        : listing.value.slice(0, DESCRIPTORS_MAX).flatMap((descriptor) => {
            const link = optional(() => files.link(`${directory}/fd/${descriptor}`));
            return link?.startsWith("socket:[") ? [link.slice(8, -1)] : [];
          });
    this.#held.set(pid, { key, sockets, scan: this.#scans });
    return sockets;
  }
}

/** `network`: the network namespace of the process. Undefined if the process is in the agent's network namespace. */
function listenerOf(
  { inode, name }: UnixRow,
  process: LinuxProcess,
  processes: ReadonlyMap<number, LinuxProcess>,
  network: string | undefined,
): UnixListener {
  const { pid, uid, directory } = process;
  const kin = ancestorsOf(process, { processes }).filter((one) => one.uid === uid);
  const isAbstract = name.startsWith("@");
  return {
    key: `unix/${inode}`,
    inode,
    pid,
    ...(uid !== undefined && { uid }),
    unix: {
      name: isAbstract ? tidy(name, 64) : tidy(name.slice(name.lastIndexOf("/") + 1), 64),
      // A relative path is resolved from the process's working directory, although the process may have
      // changed its working directory since.
      ...(isAbstract
        ? { abstract: name.slice(1) }
        : { path: name.startsWith("/") ? `${directory}/root${name}` : `${directory}/cwd/${name}` }),
      pids: [pid, ...kin.map((one) => one.pid)],
      uid: uid ?? -1,
      ...(isAbstract && network !== undefined && { inside: { pid, name: network } }),
    },
  };
}

function isWorthAsking(name: string, { argv }: LinuxProcess): boolean {
  const plain = name.replace(/^@/, "");
  const base = plain.slice(plain.lastIndexOf("/") + 1);
  if (NEVER.test(base) || NEVER_IN.test(plain)) return false;
  return USUAL.test(plain) || (base !== "" && argv.some((word) => word.includes(base)));
}

function isSame(before: readonly UnixListener[], after: readonly UnixListener[]): boolean {
  if (before.length !== after.length) return false;
  return after.every(({ key, pid, unix }, at) => {
    const one = before[at]!;
    return one.key === key && one.pid === pid && one.unix.pids.join() === unix.pids.join();
  });
}

function report(found: number, unreadable: number, cut: number): Collector {
  const problems = [
    ...(unreadable > 0 ? [`unix sockets of ${unreadable} processes not readable`] : []),
    ...(cut > 0 ? [`${cut} unix sockets not probed because of the limit of ${UNIX_LISTENERS_MAX}`] : []),
  ];
  if (problems.length > 0) return { name: "unix-sockets", status: "partial", detail: problems.join("; ") };
  return { name: "unix-sockets", status: "ok", detail: `${found} unix sockets` };
}
