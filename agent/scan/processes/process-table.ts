import type { Collector } from "../../../shared/wire/heartbeat.ts";
import { attempt, type Files, optional } from "../system/files.ts";
import { HIDING_DETAIL } from "../system/hidepid.ts";
import type { ProcessFacts } from "../system/host.ts";
import { type LinuxProcess, parseStat, type Stat } from "../system/linux-process.ts";

/** Users by number, from passwd(5). */
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
  // `lxc.monitor.…` is what watches one.
  [/\/(?:lxc\/|lxc\.payload[./])([A-Za-z0-9_.-]+)/, "lxc"],
];

/** `docker:3f4e5a6b7c8d` from `/proc/PID/cgroup`, version 1 or 2; undefined outside a container. */
export function parseContainer(cgroup: string): string | undefined {
  for (const [pattern, runtime] of CONTAINERS) {
    const id = pattern.exec(cgroup)?.[1];
    if (id) return `${runtime}:${/^[0-9a-f]{64}$/.test(id) ? id.slice(0, 12) : id}`;
  }
  return undefined;
}

/** Real user of `/proc/PID/status`. */
export function parseUid(status: string): number | undefined {
  const uid = /^Uid:\t(\d+)/m.exec(status)?.[1];
  return uid === undefined ? undefined : Number(uid);
}

const COMMAND_LINE_BYTES_MAX = 8192;
const STATUS_BYTES_MAX = 4096;
/** USER_HZ is 100 on every architecture this agent is built for. */
const TICKS_PER_SECOND = 100;
const PAGE_BYTES = 4096;
/** Between fork and exec a process still looks like its parent: young ones are read once more. */
const YOUNG_MS = 3000;
/** Two scans are never this far apart unless the clock was set or the machine slept. */
const CLOCK_STEP_MS_MIN = 60_000;
/** The kernel's second of the boot wavers by one. */
const BOOT_MS_MIN = 2000;
const STAT_BYTES_MAX = 256 * 1024;
/** A pid that was a kernel thread's is looked at again after this many scans. */
const KERNEL_SCANS = 6;

/** A process is looked at in every second scan, and after this many looks without a change in every fourth. */
const QUIET_LOOKS = 2;
const LOOK_SCANS = 2;
const QUIET_LOOK_SCANS = 4;

export type ProcessTable = {
  /** `changed`: those that are new, became another program or have a new size. The map is a new one only if needed. */
  read(): {
    processes: ReadonlyMap<number, LinuxProcess>;
    changed: readonly LinuxProcess[];
    collector: Collector;
  };
  /** Has these looked at in the next scan: something happened to them that their turn should not wait for. */
  hasten(pids: Iterable<number>): void;
};

type Watch = { line: string; quiet: number };

/**
 * Reads `/proc` again and again. A process costs one read of its `stat` in every second scan, and in every fourth
 * while that shows not a tick of processor time; a new one, or one that became another program (exec changes the
 * name), all of its identity.
 */
export function createProcessTable(deps: {
  files: Files;
  procRoot: string;
  clock: () => number;
  users: ReadonlyMap<number, { name: string }>;
  /** True while procfs leaves out processes of others. */
  isHiding?: () => boolean;
}): ProcessTable {
  const { files, procRoot } = deps;
  const readBootMs = () =>
    bootTime(optional(() => files.text(`${procRoot}/stat`, STAT_BYTES_MAX, "latin1")) ?? "");
  /** Linux counts a process's start from the boot and dates the boot by the wall clock, so it moves with that clock. */
  const boot = { ms: readBootMs() };
  let lastReadMs = deps.clock();
  let known: ReadonlyMap<number, LinuxProcess> = new Map();
  /** Kernel threads: hundreds on a large host, none of them an engine. */
  let kernel = new Set<number>();
  const young = new Map<number, number>();
  const watched = new Map<number, Watch>();
  let hastened = new Set<number>();
  let changed: LinuxProcess[] = [];
  let moved = false;
  let scans = 0;
  /** Listed, but not to be looked at: `hidepid=1`. */
  let denied = 0;

  return {
    hasten: (pids) => {
      for (const pid of pids) hastened.add(pid);
    },
    read: () => {
      changed = [];
      moved = false;
      denied = 0;
      const listing = attempt(() => files.list(procRoot));
      if (!("value" in listing)) {
        known = new Map();
        const collector: Collector = { name: "processes", status: "failed", detail: "/proc not readable" };
        return { processes: known, changed, collector };
      }
      scans += 1;
      if (scans % KERNEL_SCANS === 0) kernel = new Set();
      known = keepOrReplace(readAll(listing.value));
      hastened = new Set();
      return { processes: known, changed, collector: report(known, denied, deps.isHiding?.() ?? false) };
    },
  };

  function readAll(names: readonly string[]): LinuxProcess[] {
    const nowMs = deps.clock();
    noteClock(nowMs);
    const processes: LinuxProcess[] = [];
    for (const name of names) {
      const pid = +name;
      if (!(pid > 0) || kernel.has(pid)) continue;
      const before = known.get(pid);
      const process = before && !isDue(pid) ? before : readStat(pid, nowMs);
      if (process) processes.push(process);
      if (process !== before) moved = true;
    }
    return processes;
  }

  /** After a step of the wall clock, or a long pause, every process has another start time. */
  function noteClock(nowMs: number): void {
    const isSteady = nowMs >= lastReadMs && nowMs - lastReadMs < CLOCK_STEP_MS_MIN;
    lastReadMs = nowMs;
    if (isSteady) return;
    const before = boot.ms;
    boot.ms = readBootMs();
    if (Math.abs((boot.ms ?? 0) - (before ?? 0)) < BOOT_MS_MIN) return;
    moved = true;
    // The old clock set when they end.
    for (const pid of young.keys()) young.set(pid, nowMs + YOUNG_MS);
  }

  /** The same map as before while it says the same: whoever derives something from it need not do so again. */
  function keepOrReplace(processes: readonly LinuxProcess[]): ReadonlyMap<number, LinuxProcess> {
    if (!moved && processes.length === known.size) return known;
    const alive = new Map(processes.map((process) => [process.pid, process]));
    for (const pid of young.keys()) if (!alive.has(pid)) young.delete(pid);
    for (const pid of watched.keys()) if (!alive.has(pid)) watched.delete(pid);
    return alive;
  }

  function isDue(pid: number): boolean {
    const isQuiet = (watched.get(pid)?.quiet ?? 0) >= QUIET_LOOKS;
    const turn = (pid + scans) % (isQuiet ? QUIET_LOOK_SCANS : LOOK_SCANS) === 0;
    return turn || young.has(pid) || hastened.has(pid);
  }

  function readStat(pid: number, nowMs: number): LinuxProcess | undefined {
    let stat: Stat | undefined;
    try {
      const line = files.line(`${procRoot}/${pid}/stat`);
      // Most processes sleep: not a page fault, not a tick since the last look, and nothing to parse.
      const before = known.get(pid);
      const watch = watched.get(pid);
      if (before && watch?.line === line && !young.has(pid)) {
        watch.quiet += 1;
        return before;
      }
      watched.set(pid, { line, quiet: 0 });
      stat = parseStat(line);
    } catch (cause) {
      // It ended between the listing and now, or `hidepid` forbids to look at it.
      if (isDenied(cause)) denied += 1;
      return undefined;
    }
    if (stat?.state === "Z") return readZombie(stat, nowMs);
    if (!stat) return undefined;
    if (stat.kernelThread) {
      kernel.add(pid);
      return undefined;
    }
    return readOne(stat, nowMs);
  }

  /**
   * A first thread that has ended (pthread_exit(3)) leaves a process that looks like a zombie while others go on: what
   * it has in memory is shown by a thread that lives.
   */
  function readZombie(leader: Stat, nowMs: number): LinuxProcess | undefined {
    watched.delete(leader.pid);
    if (leader.threads < 2) return undefined;
    const tasks = `${procRoot}/${leader.pid}/task`;
    for (const name of optional(() => files.list(tasks)) ?? []) {
      const thread = optional(() => parseStat(files.line(`${tasks}/${name}/stat`)));
      if (!thread || thread.state === "Z" || thread.state === "X") continue;
      const { virtualBytes, residentPages } = thread;
      return readOne({ ...leader, virtualBytes, residentPages }, nowMs, `${tasks}/${name}`);
    }
    return undefined;
  }

  function readOne(stat: Stat, nowMs: number, directory = `${procRoot}/${stat.pid}`): LinuxProcess {
    const before = known.get(stat.pid);
    const key = `${stat.pid}:${stat.startTicks}:${stat.name}`;
    if (
      before?.key === key &&
      before.directory === directory &&
      (young.get(stat.pid) ?? Number.POSITIVE_INFINITY) > nowMs
    ) {
      if (before.parentPid !== stat.parentPid) moved = true;
      if (before.virtualBytes !== stat.virtualBytes) changed.push(before);
      before.parentPid = stat.parentPid;
      before.virtualBytes = stat.virtualBytes;
      before.residentBytes = stat.residentPages * PAGE_BYTES;
      return before;
    }
    young.delete(stat.pid);
    const facts = readIdentity({ ...deps, directory }, stat, key, boot);
    const isYoung = before?.key !== key && nowMs - (facts.startedAtMs ?? 0) < YOUNG_MS;
    if (isYoung) young.set(stat.pid, nowMs + YOUNG_MS);
    changed.push(facts);
    return facts;
  }
}

/** Reads what every process is judged by; the user and the container only of those that somebody asks about. */
function readIdentity(
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

/** Epoch milliseconds of the boot, from `btime` of `/proc/stat`. */
function bootTime(text: string): number | undefined {
  const seconds = /^btime (\d+)/m.exec(text)?.[1];
  return seconds === undefined ? undefined : Number(seconds) * 1000;
}

function report(processes: ReadonlyMap<number, LinuxProcess>, denied: number, isHiding: boolean): Collector {
  let hidden = denied;
  for (const process of processes.values()) if (process.hidden) hidden += 1;
  const total = processes.size + denied;
  const problems = [
    ...(hidden > 0 ? [`${hidden} of ${total} processes not readable with these rights`] : []),
    ...(isHiding ? [HIDING_DETAIL] : []),
  ];
  if (problems.length > 0) return { name: "processes", status: "partial", detail: problems.join("; ") };
  return { name: "processes", status: "ok", detail: `${total} processes` };
}

const isDenied = (cause: unknown): boolean =>
  ["EACCES", "EPERM"].includes((cause as { code?: string }).code ?? "");
