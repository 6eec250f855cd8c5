import { type Files, optional } from "./files.ts";

/**
 * What a file system is to the agent. `local`: reading it ends by itself. `kernel`: made by the kernel (procfs, sysfs),
 * and never holds a model. `remote`: a server, or a program of some user, answers its requests, and may never do so.
 */
export type FileSystemClass = "local" | "kernel" | "remote";

/** `type` is the kernel's name for it, `unknown` where no table has the file system. */
export type FileSystem = { class: FileSystemClass; type: string };

export type Mount = {
  id: number;
  /** `major:minor` as /proc/PID/maps prints it, in hexadecimal. */
  device: string;
  mountPoint: string;
  type: string;
  /** Options of the file system itself, behind the last space of the line. */
  options: string;
};

/**
 * File systems that the kernel reads from a block device or memory. What is not listed here is taken for remote: a new
 * kind of network file system must not stop the agent.
 */
const LOCAL =
  /^(?:ext[234]|xfs|btrfs|bcachefs|f2fs|jfs|reiserfs|zfs|tmpfs|ramfs|rootfs|devtmpfs|hugetlbfs|vfat|msdos|exfat|ntfs3|squashfs|erofs|cramfs|iso9660|udf|nilfs2|hfsplus)$/;
const KERNEL =
  /^(?:proc|sysfs|cgroup2?|devpts|debugfs|tracefs|securityfs|selinuxfs|configfs|pstore|efivarfs|bpf|mqueue|binfmt_misc|binder|fusectl|nsfs|rpc_pipefs)$/;

const MOUNTINFO_BYTES_MAX = 8 * 1024 * 1024;

/** Lines of proc_pid_mountinfo(5): `id parent major:minor root mountpoint options… - type source superoptions`. */
export function parseMounts(mountinfo: string): Mount[] {
  return mountinfo.split("\n").flatMap((line): Mount[] => {
    const separator = line.indexOf(" - ");
    const [id, , device, , mountPoint] = line.slice(0, Math.max(separator, 0)).split(" ");
    const [type, , options = ""] = line.slice(separator + 3).split(" ");
    const [, major, minor] = /^(\d+):(\d+)$/.exec(device ?? "") ?? [];
    if (separator < 0 || mountPoint === undefined || !type || !major || !minor) return [];
    const hexadecimal = [major, minor].map((part) => Number(part).toString(16).padStart(2, "0")).join(":");
    return [{ id: Number(id), device: hexadecimal, mountPoint: unescaped(mountPoint), type, options }];
  });
}

/** Spaces, tabs, line feeds and backslashes are written in octal. */
const unescaped = (path: string): string =>
  path.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));

/** An overlay may have a remote file system below it. Those in the agent's own table were mounted by root. */
function fileSystemOf({ type }: Mount, isOwn: boolean): FileSystem {
  if (LOCAL.test(type) || (isOwn && type === "overlay")) return { class: "local", type };
  return { class: KERNEL.test(type) ? "kernel" : "remote", type };
}

const UNKNOWN: FileSystem = { class: "remote", type: "unknown" };
const MEMORY: FileSystem = { class: "local", type: "tmpfs" };

export type Mounts = {
  /** To be called once a scan: mounts change. */
  begin(): void;
  /** Of a file that a process maps, by its device. */
  ofDevice(pid: number, device: string): FileSystem;
  /** Of an open file of a process, by `mnt_id` of its fdinfo (proc_pid_fdinfo(5)). */
  ofMount(pid: number, mountId: number): FileSystem;
  /** Of a path as this process sees it. Without `pid` as the agent sees it. */
  ofPath(path: string, pid?: number): FileSystem;
  /** Of the file system at this mount point of the agent's own namespace: the last one mounted there. */
  at(mountPoint: string): Mount | undefined;
};

/**
 * File systems by the tables of the kernel. Reading such a table never asks the file systems in it. A device that no
 * table has is remote: its mount may be detached or in another mount namespace.
 *
 * @param memoryDevice device of anonymous shared memory (memfd_create(2), shmget(2)), which is mounted nowhere
 */
export function createMounts(deps: {
  files: Files;
  procRoot: string;
  memoryDevice?: string | undefined;
}): Mounts {
  let own: readonly Mount[] | undefined;
  /** It rarely changes, and a host with many containers has hundreds of mounts. */
  let last: { text: string; table: readonly Mount[] } | undefined;
  const others = new Map<number, readonly Mount[]>();

  function textOf(name: string): string {
    const path = `${deps.procRoot}/${name}/mountinfo`;
    return optional(() => deps.files.text(path, MOUNTINFO_BYTES_MAX)) ?? "";
  }
  function ownTable(): readonly Mount[] {
    if (own) return own;
    const text = textOf("self");
    if (last?.text !== text) last = { text, table: parseMounts(text) };
    own = last.table;
    return own;
  }
  function tableOfProcess(pid: number): readonly Mount[] {
    const known = others.get(pid);
    if (known) return known;
    const read = parseMounts(textOf(String(pid)));
    const table = read.length > 0 ? read : ownTable();
    others.set(pid, table);
    return table;
  }
  function find(pid: number, isWanted: (mount: Mount) => boolean): FileSystem {
    const here = ownTable().find(isWanted);
    if (here) return fileSystemOf(here, true);
    const there = tableOfProcess(pid).find(isWanted);
    return there ? fileSystemOf(there, false) : UNKNOWN;
  }

  return {
    begin: () => {
      own = undefined;
      others.clear();
    },
    ofDevice: (pid, device) =>
      device === deps.memoryDevice ? MEMORY : find(pid, (mount) => mount.device === device),
    ofMount: (pid, mountId) => {
      const there = tableOfProcess(pid).find(({ id }) => id === mountId);
      // The same device in the agent's own table: what is mounted there was mounted by root.
      return there ? find(pid, ({ device }) => device === there.device) : UNKNOWN;
    },
    ofPath: (path, pid) => {
      const table = pid === undefined ? ownTable() : tableOfProcess(pid);
      const mount = longestPrefix(table, path);
      if (!mount) return UNKNOWN;
      return fileSystemOf(
        mount,
        pid === undefined || ownTable().some(({ device }) => device === mount.device),
      );
    },
    at: (mountPoint) => ownTable().findLast((mount) => mount.mountPoint === mountPoint),
  };
}

/** The mount that a path leads into; of several on one directory the last hides the others. */
function longestPrefix(mounts: readonly Mount[], path: string): Mount | undefined {
  let best: Mount | undefined;
  for (const mount of mounts) {
    const point = mount.mountPoint === "/" ? "/" : `${mount.mountPoint}/`;
    if (!`${path}/`.startsWith(point)) continue;
    if (!best || mount.mountPoint.length >= best.mountPoint.length) best = mount;
  }
  return best;
}
