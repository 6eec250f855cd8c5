import type { Collector } from "../../../shared/wire/heartbeat.ts";
import { tidy } from "../../../shared/wire/text.ts";
import { ancestorsOf } from "../processes/ancestors.ts";
import { attempt, type Files, optional } from "../system/files.ts";
import type { UnixListener } from "../system/host.ts";
import type { LinuxProcess } from "../system/linux-process.ts";
import { parseUnixTable, type UnixRow } from "./unix-table.ts";

const TABLE_BYTES_MAX = 4 * 1024 * 1024;
const DESCRIPTORS_MAX = 4096;
/** Sockets that are asked at most; those of processes that come first in the list of suspects are taken first. */
export const UNIX_LISTENERS_MAX = 64;
/** The descriptors of an unchanged process are listed again after so many scans. */
const RELIST_SCANS = 8;

/**
 * Sockets of other protocols: a desktop, a bus, a container engine, key agents, databases, and those that AI programs use
 * among their own processes. None of them is sent anything.
 */
const NEVER =
  /^(?:docker(?:d|\.raw)?\.sock|(?:system_)?bus.*|x\d+|agent\.\d+|s\.gpg-.*|\.s\.pgsql\..*|singletonsocket|private|notify|native)$|(?:^|[._-])(?:d-?bus|wayland|pulse|pipewire|containerd|podman|buildkitd?|crio|ssh|gpg|vscode|postgres(?:ql)?|mysqlx?d?|redis|memcached|plasma_store|raylet|zmq|ipc|nccl|tmux|lz-agent)(?:$|[._-])/i;
const NEVER_IN =
  /\/(?:\.x11-unix|\.ice-unix|systemd|dbus[^/]*|containerd|ssh-[^/]+|\.?gnupg|pulse|keyring)\//i;
/** The names that servers of HTTP give their sockets. */
const USUAL = /\.(?:sock|socket|uds|http)$/i;

export type UnixSockets = {
  /** `suspects`: processes with evidence of their own, the strongest first. Unchanged listeners are the same list. */
  read(
    suspects: readonly LinuxProcess[],
    processes: ReadonlyMap<number, LinuxProcess>,
  ): {
    listeners: readonly UnixListener[];
    collector: Collector;
  };
};

type Held = { key: string; sockets: readonly string[] | undefined; scan: number };

/**
 * Listening unix sockets that are worth asking for HTTP: those of suspects alone, by the inode of a descriptor, and only
 * with the name of such a socket or one that the command line of its process has. A command line says where to ask and no
 * more.
 */
export function createUnixSockets(deps: { files: Files; procRoot: string; selfPid: number }): UnixSockets {
  const { files, procRoot } = deps;
  const held = new Map<number, Held>();
  let before: readonly UnixListener[] = [];
  let scans = 0;
  const own = (): string | undefined => optional(() => files.link(`${procRoot}/self/ns/net`));

  return {
    read: (suspects, processes) => {
      scans += 1;
      const tables = new Map<string, readonly UnixRow[] | undefined>();
      const home = suspects.length > 0 ? own() : undefined;
      const found: UnixListener[] = [];
      let [unreadable, cut] = [0, 0];
      for (const pid of held.keys()) if (!suspects.some((one) => one.pid === pid)) held.delete(pid);
      for (const process of suspects) {
        if (process.pid === deps.selfPid) continue;
        const space = process.network ?? home ?? "";
        if (!tables.has(space)) tables.set(space, tableOf(process));
        const rows = tables.get(space);
        const sockets = rows?.length === 0 ? [] : socketsOf(process);
        if (!rows || !sockets) unreadable += 1;
        for (const row of rows ?? []) {
          if (!sockets?.includes(row.inode) || !isWorthAsking(row.name, process)) continue;
          if (found.some(({ inode }) => inode === row.inode)) continue;
          if (found.length >= UNIX_LISTENERS_MAX) cut += 1;
          else found.push(toListener(row, process, processes, space === home ? undefined : space));
        }
      }
      before = isSame(before, found) ? before : found;
      return { listeners: before, collector: report(found.length, unreadable, cut) };
    },
  };

  function tableOf({ directory }: LinuxProcess): UnixRow[] | undefined {
    const table = attempt(() =>
      parseUnixTable(files.text(`${directory}/net/unix`, TABLE_BYTES_MAX, "latin1")),
    );
    return "value" in table ? table.value : table.miss === "gone" ? [] : undefined;
  }

  /** Inodes of its sockets; undefined without the right to see them. */
  function socketsOf({ pid, key, directory }: LinuxProcess): readonly string[] | undefined {
    const known = held.get(pid);
    if (known?.key === key && scans - known.scan < RELIST_SCANS) return known.sockets;
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
    held.set(pid, { key, sockets, scan: scans });
    return sockets;
  }

  function toListener(
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
        // A relative name is one from the working directory, as far as it has not changed since.
        ...(isAbstract
          ? { abstract: name.slice(1) }
          : { path: name.startsWith("/") ? `${directory}/root${name}` : `${directory}/cwd/${name}` }),
        pids: [pid, ...kin.map((one) => one.pid)],
        uid: uid ?? -1,
        ...(isAbstract && network !== undefined && { inside: { pid, name: network } }),
      },
    };
  }
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
    ...(cut > 0 ? [`${cut} unix sockets more than ${UNIX_LISTENERS_MAX} are not asked`] : []),
  ];
  if (problems.length > 0) return { name: "unix-sockets", status: "partial", detail: problems.join("; ") };
  return { name: "unix-sockets", status: "ok", detail: `${found} unix sockets` };
}
