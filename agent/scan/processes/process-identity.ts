import { attempt, type Files, optional } from "../system/files.ts";
import type { ProcessFacts } from "../system/host.ts";
import type { LinuxProcess, Stat } from "../system/linux-process.ts";

/** Parses passwd(5). The result is keyed by user id. */
export function parsePasswd(text: string): Map<number, { name: string; home: string }> {
  const users = new Map<number, { name: string; home: string }>();
  for (const line of text.split("\n")) {
    const [name, , uid, , , home] = line.split(":");
    if (name && uid && /^\d+$/.test(uid)) users.set(Number(uid), { name, home: home ?? "" });
  }
  return users;
}

const CONTAINERS: [pattern: RegExp, runtime: string][] = [
  [/\/libpod-([0-9a-f]{64})/, "podman"],
  [/(?:\/docker[-/]|\/docker-ce\/)([0-9a-f]{64})/, "docker"],
  [/(?:cri-containerd[-:]|\/nerdctl-)([0-9a-f]{64})/, "containerd"],
  [/crio-([0-9a-f]{64})/, "crio"],
  [/\/kubepods[^:]*\/([0-9a-f]{64})/, "kubernetes"],
  // `lxc.monitor.…` is not matched, because it is the monitor process outside the container.
  [/\/(?:lxc\/|lxc\.payload[./])([A-Za-z0-9_.-]+)/, "lxc"],
];

/**
 * Parses `/proc/PID/cgroup` (version 1 or 2) and returns the container, for example `docker:3f4e5a6b7c8d`.
 * Undefined if the process runs outside containers.
 */
export function parseContainer(cgroup: string): string | undefined {
  for (const [pattern, runtime] of CONTAINERS) {
    const id = pattern.exec(cgroup)?.[1];
    if (id) return `${runtime}:${/^[0-9a-f]{64}$/.test(id) ? id.slice(0, 12) : id}`;
  }
  return undefined;
}

/** Parses the real user id in `/proc/PID/status`. */
export function parseUid(status: string): number | undefined {
  const uid = /^Uid:\t(\d+)/m.exec(status)?.[1];
  return uid === undefined ? undefined : Number(uid);
}

const COMMAND_LINE_BYTES_MAX = 8192;
const STATUS_BYTES_MAX = 4096;
/** USER_HZ. Its value is 100 on all architectures that the agent is built for. */
const TICKS_PER_SECOND = 100;
/** Page size in bytes on all architectures that the agent is built for. */
export const PAGE_BYTES = 4096;

/**
 * Reads the executable, command line and network namespace of a process. User, container and start time are
 * getters, because reading them takes time and only a few processes need them. `boot` changes when the wall
 * clock is set.
 */
export function readIdentity(
  deps: { files: Files; directory: string; users: ReadonlyMap<number, { name: string }> },
  stat: Stat,
  key: string,
  boot: { ms: number | undefined },
): LinuxProcess {
  const { files, directory: root } = deps;
  const link = attempt(() => files.link(`${root}/exe`));
  const argv = optional(() => files.record(`${root}/cmdline`, COMMAND_LINE_BYTES_MAX)) ?? "";
  const executable = "value" in link ? link.value.replace(/ \(deleted\)$/, "") : undefined;
  const network = optional(() => files.link(`${root}/ns/net`));
  let owner: Owner | undefined;
  const ownerNow = (): Owner => {
    owner ??= readOwner(deps, root);
    return owner;
  };
  return {
    pid: stat.pid,
    parentPid: stat.parentPid,
    key,
    directory: root,
    name: stat.name,
    argv: argv.split("\0").filter((word) => word !== ""),
    virtualBytes: stat.virtualBytes,
    residentBytes: stat.residentPages * PAGE_BYTES,
    hidden: "miss" in link && link.miss === "denied",
    get startedAtMs() {
      return boot.ms === undefined ? undefined : boot.ms + (stat.startTicks * 1000) / TICKS_PER_SECOND;
    },
    ...(executable !== undefined && { executable }),
    ...(network !== undefined && { network }),
    get uid() {
      return ownerNow().uid;
    },
    get user() {
      return ownerNow().user;
    },
    get container() {
      return ownerNow().container;
    },
  };
}

type Owner = Pick<ProcessFacts, "uid" | "user" | "container">;

function readOwner(
  { files, users }: { files: Files; users: ReadonlyMap<number, { name: string }> },
  root: string,
): Owner {
  const status = optional(() => files.text(`${root}/status`, STATUS_BYTES_MAX, "latin1"));
  const uid = status === undefined ? undefined : parseUid(status);
  const cgroup = optional(() => files.text(`${root}/cgroup`, STATUS_BYTES_MAX, "latin1")) ?? "";
  const user = uid === undefined ? undefined : (users.get(uid)?.name ?? String(uid));
  return { uid, user, container: parseContainer(cgroup) };
}
