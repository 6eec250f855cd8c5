/** A process as containment sees it. One that has ended and only waits for its parent to notice is none. */
export type HostProcess = {
  pid: number;
  /** Tells it from a later process with the same pid. */
  birth: string;
  parent: number;
  /** None of its threads runs. */
  isStopped: boolean;
  /** CPU time that it has used, in milliseconds. It cannot grow while the process is stopped. */
  cpuMs?: number;
  /** Epoch milliseconds, to about a second: what the scan knows it by. */
  startedAtMs?: number;
  /** Leader of the process group it belongs to, unless it leads one itself. */
  group?: number;
  /** Told by itself: whoever started it is gone, and its parent is not who did. */
  isAdopted?: boolean;
};

export type Named = Pick<HostProcess, "pid" | "birth">;

export const isSame =
  (one: Named) =>
  (other: Named): boolean =>
    one.pid === other.pid && one.birth === other.birth;

/** Init, this daemon and its ancestors: never touched, whatever a scan says of them. */
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

/** The processes and all below them, parents first, without {@link sparedOf}. */
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

/** Both clocks count whole seconds on some systems. */
export const START_SLACK_MS = 1500;

/**
 * Whether this is the process that the scan saw under its pid, by its start. `unknown`: one of the two does not say
 * when it started.
 */
export function isScanned(engine: Scanned, process: HostProcess): boolean | "unknown" {
  if (engine.pid !== process.pid) return false;
  if (engine.processStartedAt === undefined || process.startedAtMs === undefined) return "unknown";
  return Math.abs(Date.parse(engine.processStartedAt) - process.startedAtMs) <= START_SLACK_MS;
}
