import { familyOf, type HostProcess, isSame, type Named } from "./process-tree.ts";

export type TerminateDeps = {
  processes: () => Promise<readonly HostProcess[]>;
  /** Pid of this daemon. The daemon and its ancestors are never terminated. */
  selfPid: number;
  /** Throws if the process has ended or is protected. */
  suspend: (process: Named) => void;
  /**
   * Asks the process to end (SIGTERM). Absent on systems without such a signal. Throws the same errors as
   * {@link suspend}.
   */
  ask?: ((process: Named) => void) | undefined;
  /** Terminates the process (SIGKILL). Throws the same errors as {@link suspend}. */
  end: (process: Named) => void;
  sleep: (ms: number, signal: AbortSignal) => Promise<void>;
};

const POLL_MS = 100;
/**
 * Delays in milliseconds between checks after SIGKILL. A process with a hundred gigabytes of memory takes
 * seconds to end.
 */
const ENDING_MS = [0, 50, 100, 200, 400, 800, 1600] as const;

/**
 * Terminates the processes and all their descendants. Sends SIGTERM first, and SIGKILL after the grace time.
 * Includes children that are created during the termination, and processes that remain in a group that an
 * engine led. Returns all of these processes, and the ones that still run.
 *
 * Suspended processes get no SIGTERM, because they would have to be resumed to handle it and would then
 * compute again. Before SIGKILL, all processes are suspended, parents first, so that no process starts
 * another one while they are listed.
 */
export async function terminate(
  roots: readonly Named[],
  graceMs: number,
  deps: TerminateDeps,
  signal: AbortSignal,
): Promise<{ all: HostProcess[]; left: HostProcess[] }> {
  const seen: HostProcess[] = [];

  async function living(): Promise<HostProcess[]> {
    const processes = await deps.processes();
    const known = seen.length > 0 ? seen : roots;
    const alive = processes.filter((process) => known.some(isSame(process)));
    const left = seen.length > 0 ? leftBehind(seen, processes) : [];
    const family = familyOf(
      [...alive, ...left].map(({ pid }) => pid),
      processes,
      deps.selfPid,
    );
    seen.push(...family.filter((process) => !seen.some(isSame(process))));
    return family;
  }

  const { ask } = deps;
  if (ask) {
    const asked: Named[] = [];
    for (let waitedMs = 0; waitedMs < graceMs && !signal.aborted; waitedMs += POLL_MS) {
      const running = (await living()).filter(({ isStopped }) => !isStopped);
      if (running.length === 0) break;
      // Includes processes that were created or orphaned during the termination.
      const fresh = running.filter((process) => !asked.some(isSame(process)));
      for (const process of fresh) attempt(() => ask(process));
      asked.push(...fresh);
      await deps.sleep(POLL_MS, signal);
    }
  }
  for (const ms of ENDING_MS) {
    // A stop of the daemon must not end this wait early, because the processes would stay suspended.
    if (ms > 0) await deps.sleep(ms, new AbortController().signal);
    for (const process of await living()) if (!process.isStopped) attempt(() => deps.suspend(process));
    const family = await living();
    if (family.length === 0) break;
    for (const process of family) attempt(() => deps.end(process));
  }
  return { all: [...seen], left: await living() };
}

/**
 * Processes that remain in a group that one of `seen` led. The leader's pid is not reused while the group
 * exists (setpgid(2)). The processes of a shell pipeline share the group of its first process and have the
 * same parent, so they do not count as left behind. In a container, all processes can be in one session. So
 * `isAdopted` alone is not enough, and parents are compared.
 */
export function leftBehind(seen: readonly HostProcess[], processes: readonly HostProcess[]): HostProcess[] {
  const isTaken = ({ pid, birth }: Named): boolean =>
    processes.some((other) => other.pid === pid && other.birth !== birth);
  const leaders = new Map(seen.filter((one) => !isTaken(one)).map((one) => [one.pid, one]));
  const members = new Map(processes.map(({ pid, group = pid }) => [pid, group]));
  return processes.filter(({ group, parent, isAdopted }) => {
    const leader = group === undefined ? undefined : leaders.get(group);
    if (!leader) return false;
    return isAdopted || (parent !== leader.parent && members.get(parent) !== group);
  });
}

/** Ignores errors. Then the process has ended, or it is protected and is later returned as still running. */
function attempt(act: () => void): void {
  try {
    act();
  } catch {
    return;
  }
}
