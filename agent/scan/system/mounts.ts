import { type Files, optional } from "./files.ts";

/**
 * How the agent treats a file system. `local`: reads always complete. `kernel`: a virtual file system
 * (procfs, sysfs) that never holds a model. `remote`: a server or a user's program serves the files, so a
 * read may never complete.
 */
type FileSystemClass = "local" | "kernel" | "remote";

/** `type` is the kernel's name for the file system, or `unknown` if no mount table lists it. */
export type FileSystem = { class: FileSystemClass; type: string };

export type Mount = {
  id: number;
  /** Device number: `major:minor` in hexadecimal, as in `/proc/PID/maps`. */
  device: string;
  mountPoint: string;
  type: string;
  /** File system options (super options), from the last field of the line. */
  options: string;
};

/**
 * File systems that the kernel reads from a block device or from memory. Types that are not listed count as
 * remote, so that an unknown network file system cannot block the agent.
 */
const LOCAL =
  /^(?:ext[234]|xfs|btrfs|bcachefs|f2fs|jfs|reiserfs|zfs|tmpfs|ramfs|rootfs|devtmpfs|hugetlbfs|vfat|msdos|exfat|ntfs3|squashfs|erofs|cramfs|iso9660|udf|nilfs2|hfsplus)$/;
const KERNEL =
  /^(?:proc|sysfs|cgroup2?|devpts|debugfs|tracefs|securityfs|selinuxfs|configfs|pstore|efivarfs|bpf|mqueue|binfmt_misc|binder|fusectl|nsfs|rpc_pipefs)$/;

const MOUNTINFO_BYTES_MAX = 8 * 1024 * 1024;

/** Parses proc_pid_mountinfo(5): `id parent major:minor root mountpoint options… - type source superoptions`. */
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

/** Decodes mount points, in which spaces, tabs, line feeds and backslashes are escaped in octal. */
const unescaped = (path: string): string =>
  path.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));

/**
 * An overlay can be on top of a remote file system. Overlays in the agent's own namespace are trusted,
 * because only root can mount there.
 */
function fileSystemOf({ type }: Mount, isOwn: boolean): FileSystem {
  if (LOCAL.test(type) || (isOwn && type === "overlay")) return { class: "local", type };
  return { class: KERNEL.test(type) ? "kernel" : "remote", type };
}

const UNKNOWN: FileSystem = { class: "remote", type: "unknown" };
const MEMORY: FileSystem = { class: "local", type: "tmpfs" };

export type Mounts = {
  /** Discards the cached mount tables. Call once per scan, because mounts change. */
  begin(): void;
  /** File system that contains a file mapped by a process. `device` is the device number. */
  ofDevice(pid: number, device: string): FileSystem;
  /**
   * File system that contains a file opened by a process. `mountId` is `mnt_id` in the file's fdinfo
   * (proc_pid_fdinfo(5)).
   */
  ofMount(pid: number, mountId: number): FileSystem;
  /**
   * File system that contains a path, in the mount namespace of process `pid`, or in the agent's namespace if
   * `pid` is absent.
   */
  ofPath(path: string, pid?: number): FileSystem;
  /** The topmost mount at this mount point in the agent's own namespace. */
  at(mountPoint: string): Mount | undefined;
};

/**
 * Classifies file systems using the kernel's mount tables. Reading a mount table sends no request to the file
 * systems listed in it. A device that no table lists counts as remote, because its mount may be detached or
 * in another mount namespace.
 *
 * @param memoryDevice device number of anonymous shared memory (memfd_create(2), shmget(2)), which has no
 * mount point
 */
export function createMounts(deps: {
  files: Files;
  procRoot: string;
  memoryDevice?: string | undefined;
}): Mounts {
  let own: readonly Mount[] | undefined;
  /**
   * Last content of the agent's own mount table. The table rarely changes, and a host with containers can
   * have hundreds of mounts.
   */
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
      // Search for the device in the agent's own table first, because only root can mount there.
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

/**
 * Returns the mount that contains a path. If several mounts are at the same directory, the last one hides the
 * earlier ones.
 */
function longestPrefix(mounts: readonly Mount[], path: string): Mount | undefined {
  let best: Mount | undefined;
  for (const mount of mounts) {
    const point = mount.mountPoint === "/" ? "/" : `${mount.mountPoint}/`;
    if (!`${path}/`.startsWith(point)) continue;
    if (!best || mount.mountPoint.length >= best.mountPoint.length) best = mount;
  }
  return best;
}
