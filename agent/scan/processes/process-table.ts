import type { Collector } from "../../../shared/wire/heartbeat.ts";
import { attempt, type Files, optional } from "../system/files.ts";
import { HIDING_DETAIL } from "../system/hidepid.ts";
import { type LinuxProcess, parseStat, type Stat } from "../system/linux-process.ts";
import { PAGE_BYTES, readIdentity } from "./process-identity.ts";

/**
 * Time in milliseconds after which a new process is read again. Between fork and exec, it still has the
 * identity of its parent.
 */
const YOUNG_MS = 3000;
/** A longer interval between two scans means that the clock was set or that the machine slept. */
const CLOCK_STEP_MS_MIN = 60_000;
/**
 * Minimum difference between two boot times that counts as a change. Smaller differences are rounding errors
 * of the kernel.
 */
const BOOT_MS_MIN = 2000;
const STAT_BYTES_MAX = 256 * 1024;
/** Number of scans after which the pids of kernel threads are checked again. */
const KERNEL_SCANS = 6;
/** Number of scans between two reads of the same process. */
const READ_SCANS = 2;
/**
 * Number of unchanged reads of `stat` after which a process is quiet. A quiet process is read in every fourth
 * scan.
 */
const QUIET_READS = 2;
const QUIET_READ_SCANS = 4;

type Processes = ReadonlyMap<number, LinuxProcess>;

export type ProcessTable = {
  /** Reads the processes. Returns the same map as before if no process has started, ended or changed. */
  read(): {
    processes: Processes;
    /** Processes that have started, executed another program or changed their size. */
    changed: readonly LinuxProcess[];
    collector: Collector;
  };
  /** Marks processes that the next scan must read, for example because they have a new socket. */
  hasten(pids: Iterable<number>): void;
};

type Dependencies = {
  files: Files;
  procRoot: string;
  /** Epoch milliseconds. */
  clock: () => number;
  users: ReadonlyMap<number, { name: string }>;
  /** True while procfs hides processes of other users. */
  isHiding?: () => boolean;
};

/**
 * Reads `/proc` in every scan. The `stat` file of a known process is read in every second scan, or in every
 * fourth scan while the process uses no processor time. The identity is read when a process is new and after
 * an exec, which changes the name.
 */
export function createProcessTable(deps: Dependencies): ProcessTable {
  const table = new LinuxProcessTable(deps);
  return { read: () => table.read(), hasten: (pids) => table.hasten(pids) };
}

class LinuxProcessTable {
  readonly #deps: Dependencies;
  /**
   * Boot time in epoch milliseconds. The kernel counts the start time of a process from the boot, and derives
   * the boot time from the wall clock. Setting the clock therefore changes all start times. The facts of all
   * processes share this object.
   */
  readonly #boot: { ms: number | undefined };
  #lastReadMs: number;
  #known: Processes = new Map();
  /** Pids of kernel threads, which a scan skips. A large host has hundreds of them. */
  #kernel = new Set<number>();
  /** By pid: time at which a young process is due for another read. */
  readonly #young = new Map<number, number>();
  /** By pid: the last `stat` line and the number of reads that returned this line unchanged. */
  readonly #lines = new Map<number, { line: string; quiet: number }>();
  #hastened = new Set<number>();
  #changed: LinuxProcess[] = [];
  /** True if this scan must return a new map. */
  #isMapChanged = false;
  #scans = 0;
  /** Number of listed processes whose `stat` is not readable (`hidepid=1`). */
  #denied = 0;

  constructor(deps: Dependencies) {
    this.#deps = deps;
    this.#boot = { ms: this.#readBootMs() };
    this.#lastReadMs = deps.clock();
  }

  hasten(pids: Iterable<number>): void {
    for (const pid of pids) this.#hastened.add(pid);
  }

  read(): ReturnType<ProcessTable["read"]> {
    const { files, procRoot, isHiding } = this.#deps;
    this.#changed = [];
    this.#isMapChanged = false;
    this.#denied = 0;
    const listing = attempt(() => files.list(procRoot));
    if (!("value" in listing)) {
      this.#known = new Map();
      const collector: Collector = { name: "processes", status: "failed", detail: "could not read /proc" };
      return { processes: this.#known, changed: this.#changed, collector };
    }
    this.#scans += 1;
    if (this.#scans % KERNEL_SCANS === 0) this.#kernel = new Set();
    this.#known = this.#keepOrReplace(this.#readAll(listing.value));
    this.#hastened = new Set();
    const collector = report(this.#known, this.#denied, isHiding?.() ?? false);
    return { processes: this.#known, changed: this.#changed, collector };
  }

  #readAll(names: readonly string[]): LinuxProcess[] {
    const nowMs = this.#deps.clock();
    this.#noteClock(nowMs);
    const processes: LinuxProcess[] = [];
    for (const name of names) {
      const pid = +name;
      if (!(pid > 0) || this.#kernel.has(pid)) continue;
      const before = this.#known.get(pid);
      const process = before && !this.#isDue(pid) ? before : this.#readStat(pid, nowMs);
      if (process) processes.push(process);
      if (process !== before) this.#isMapChanged = true;
    }
    return processes;
  }

  /** Reads the boot time again after a step of the wall clock or a long pause. */
  #noteClock(nowMs: number): void {
    const isSteady = nowMs >= this.#lastReadMs && nowMs - this.#lastReadMs < CLOCK_STEP_MS_MIN;
    this.#lastReadMs = nowMs;
    if (isSteady) return;
    const before = this.#boot.ms;
    this.#boot.ms = this.#readBootMs();
    if (Math.abs((this.#boot.ms ?? 0) - (before ?? 0)) < BOOT_MS_MIN) return;
    this.#isMapChanged = true;
    // The current values were computed with the old clock.
    for (const pid of this.#young.keys()) this.#young.set(pid, nowMs + YOUNG_MS);
  }

  #readBootMs(): number | undefined {
    const { files, procRoot } = this.#deps;
    return parseBootMs(optional(() => files.text(`${procRoot}/stat`, STAT_BYTES_MAX, "latin1")) ?? "");
  }

  #keepOrReplace(processes: readonly LinuxProcess[]): Processes {
    if (!this.#isMapChanged && processes.length === this.#known.size) return this.#known;
    const alive = new Map(processes.map((process) => [process.pid, process]));
    for (const pid of this.#young.keys()) if (!alive.has(pid)) this.#young.delete(pid);
    for (const pid of this.#lines.keys()) if (!alive.has(pid)) this.#lines.delete(pid);
    return alive;
  }

  #isDue(pid: number): boolean {
    const isQuiet = (this.#lines.get(pid)?.quiet ?? 0) >= QUIET_READS;
    const isTurn = (pid + this.#scans) % (isQuiet ? QUIET_READ_SCANS : READ_SCANS) === 0;
    return isTurn || this.#young.has(pid) || this.#hastened.has(pid);
  }

  #readStat(pid: number, nowMs: number): LinuxProcess | undefined {
    let stat: Stat | undefined;
    try {
      const line = this.#deps.files.line(`${this.#deps.procRoot}/${pid}/stat`);
      // Most processes sleep. Without a page fault or a clock tick, the line is unchanged and needs no
      // parsing.
      const before = this.#known.get(pid);
      const last = this.#lines.get(pid);
      if (before && last?.line === line && !this.#young.has(pid)) {
        last.quiet += 1;
        return before;
      }
      this.#lines.set(pid, { line, quiet: 0 });
      stat = parseStat(line);
    } catch (cause) {
      // The process has ended since it was listed, or `hidepid` denies the read.
      if (isDenied(cause)) this.#denied += 1;
      return undefined;
    }
    if (stat?.state === "Z") return this.#readZombie(stat, nowMs);
    if (!stat) return undefined;
    if (stat.kernelThread) {
      this.#kernel.add(pid);
      return undefined;
    }
    return this.#readOne(stat, nowMs);
  }

  /**
   * Reads a process whose first thread has ended (pthread_exit(3)). The process is in the zombie state, but
   * its other threads still run. procfs shows the memory of the process only in the directory of a live
   * thread.
   */
  #readZombie(leader: Stat, nowMs: number): LinuxProcess | undefined {
    const { files, procRoot } = this.#deps;
    this.#lines.delete(leader.pid);
    if (leader.threads < 2) return undefined;
    const tasks = `${procRoot}/${leader.pid}/task`;
    for (const name of optional(() => files.list(tasks)) ?? []) {
      const thread = optional(() => parseStat(files.line(`${tasks}/${name}/stat`)));
      if (!thread || thread.state === "Z" || thread.state === "X") continue;
      const { virtualBytes, residentPages } = thread;
      return this.#readOne({ ...leader, virtualBytes, residentPages }, nowMs, `${tasks}/${name}`);
    }
    return undefined;
  }

  #readOne(stat: Stat, nowMs: number, directory = `${this.#deps.procRoot}/${stat.pid}`): LinuxProcess {
    const before = this.#known.get(stat.pid);
    const key = `${stat.pid}:${stat.startTicks}:${stat.name}`;
    const rereadAtMs = this.#young.get(stat.pid) ?? Number.POSITIVE_INFINITY;
    if (before?.key === key && before.directory === directory && rereadAtMs > nowMs)
      return this.#update(before, stat);
    this.#young.delete(stat.pid);
    const facts = readIdentity({ ...this.#deps, directory }, stat, key, this.#boot);
    const isYoung = before?.key !== key && nowMs - (facts.startedAtMs ?? 0) < YOUNG_MS;
    if (isYoung) this.#young.set(stat.pid, nowMs + YOUNG_MS);
    this.#changed.push(facts);
    return facts;
  }

  #update(process: LinuxProcess, stat: Stat): LinuxProcess {
    if (process.parentPid !== stat.parentPid) this.#isMapChanged = true;
    if (process.virtualBytes !== stat.virtualBytes) this.#changed.push(process);
    process.parentPid = stat.parentPid;
    process.virtualBytes = stat.virtualBytes;
    process.residentBytes = stat.residentPages * PAGE_BYTES;
    return process;
  }
}

/** Boot time in epoch milliseconds, from `btime` in `/proc/stat`. */
function parseBootMs(text: string): number | undefined {
  const seconds = /^btime (\d+)/m.exec(text)?.[1];
  return seconds === undefined ? undefined : Number(seconds) * 1000;
}

function report(processes: Processes, denied: number, isHiding: boolean): Collector {
  let hidden = denied;
  for (const process of processes.values()) if (process.hidden) hidden += 1;
  const total = processes.size + denied;
  const problems = [
    ...(hidden > 0 ? [`the agent has no permission to read ${hidden} of ${total} processes`] : []),
    ...(isHiding ? [HIDING_DETAIL] : []),
  ];
  if (problems.length > 0) return { name: "processes", status: "partial", detail: problems.join("; ") };
  return { name: "processes", status: "ok", detail: `${total} processes` };
}

const isDenied = (cause: unknown): boolean =>
  ["EACCES", "EPERM"].includes((cause as { code?: string }).code ?? "");
