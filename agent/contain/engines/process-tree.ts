/** A running or stopped process of this host. Zombies are left out. */
export type HostProcess = {
  pid: number;
  /** Distinguishes the process from a later process with the same pid. */
  birth: string;
  parent: number;
  /** True if all threads are stopped. */
  isStopped: boolean;
  /** Used CPU time in milliseconds. The value does not grow while the process is stopped. */
  cpuMs?: number;
  /** Start time in epoch milliseconds, accurate to about a second. It is compared with the start time in a scan. */
  startedAtMs?: number;
  /** Pid of the process group's leader. Absent if the process itself is the leader. */
  group?: number;
  /** True if the process that started this one has ended, so that its parent is now a different process. */
  isAdopted?: boolean;
};

export type Named = Pick<HostProcess, "pid" | "birth">;

export const isSame =
  (one: Named) =>
  (other: Named): boolean =>
    one.pid === other.pid && one.birth === other.birth;

/** Pids that are never stopped, even if a scan names them as engines: init, this daemon and its ancestors. */
export function sparedOf(
  processes: readonly Pick<HostProcess, "pid" | "parent">[],
  selfPid: number,
): Set<number> {
  const parents = new Map(processes.map(({ pid, parent }) => [pid, parent]));
  const spared = new Set<number>([0, 1]);
  for (let pid: number | undefined = selfPid; pid !== undefined && !spared.has(pid); ) {
    spared.add(pid);
    pid = parents.get(pid);
  }
  return spared;
}

/** The given processes and all their descendants, parents first, without {@link sparedOf}. */
export function familyOf<Process extends Pick<HostProcess, "pid" | "parent">>(
  roots: readonly number[],
  processes: readonly Process[],
  selfPid: number,
): Process[] {
  const byPid = new Map(processes.map((process) => [process.pid, process]));
  const spared = sparedOf(processes, selfPid);
  const family = new Map<number, Process>();
  const queue = [...roots];
  for (let pid = queue.shift(); pid !== undefined; pid = queue.shift()) {
    const process = byPid.get(pid);
    if (!process || spared.has(pid) || family.has(pid)) continue;
    family.set(pid, process);
    queue.push(...processes.filter(({ parent }) => parent === pid).map((child) => child.pid));
  }
  return [...family.values()];
}

type Scanned = { pid?: number | undefined; processStartedAt?: string | undefined };

/** Tolerance between two start times in milliseconds. Some systems round start times to whole seconds. */
export const START_SLACK_MS = 1500;

/**
 * Compares pid and start time to decide whether this is the process that the scan saw. Returns `unknown` if
 * one of the two start times is missing.
 */
export function isScanned(engine: Scanned, process: HostProcess): boolean | "unknown" {
  if (engine.pid !== process.pid) return false;
  if (engine.processStartedAt === undefined || process.startedAtMs === undefined) return "unknown";
  return Math.abs(Date.parse(engine.processStartedAt) - process.startedAtMs) <= START_SLACK_MS;
}
