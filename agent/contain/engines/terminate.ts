import { familyOf, type HostProcess, isSame, type Named } from "./process-tree.ts";

export type TerminateDeps = {
  processes: () => Promise<readonly HostProcess[]>;
  /** This daemon; neither it nor what it was started by is ever ended. */
  selfPid: number;
  /** Throws when the process is not there, or not ours to touch. */
  suspend: (process: Named) => void;
  /** Asks it to end (SIGTERM). Absent where a system has no such question. Throws as {@link suspend}. */
  ask?: ((process: Named) => void) | undefined;
  /** Ends it whatever it does (SIGKILL). Throws as {@link suspend}. */
  end: (process: Named) => void;
  sleep: (ms: number, signal: AbortSignal) => Promise<void>;
};

const POLL_MS = 100;
/** A process of a hundred gigabytes takes seconds to give them back. */
const ENDING_MS = [0, 50, 100, 200, 400, 800, 1600] as const;

/**
 * Ends the processes and all below them: asked first, and after the grace ended. Children that are born meanwhile,
 * and those that a dying engine leaves behind in a process group of its own, end too. Gives all that it went for and
 * those that are still there.
 *
 * What is suspended cannot hear the question and is not woken for it: it would compute. Before the end all are
 * suspended, parents first, so that none starts another while it is being counted.
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
      // Those that are born or left behind meanwhile are asked as well.
      const fresh = running.filter((process) => !asked.some(isSame(process)));
      for (const process of fresh) attempt(() => ask(process));
      asked.push(...fresh);
      await deps.sleep(POLL_MS, signal);
    }
  }
  for (const ms of ENDING_MS) {
    // Not cut short: a daemon that stops now would leave them suspended.
    if (ms > 0) await deps.sleep(ms, new AbortController().signal);
    for (const process of await living()) if (!process.isStopped) attempt(() => deps.suspend(process));
    const family = await living();
    if (family.length === 0) break;
    for (const process of family) attempt(() => deps.end(process));
  }
  return { all: [...seen], left: await living() };
}

/**
 * Of a group whose leader we went for. A leader's pid is nobody else's while the group lasts (setpgid(2)). The others
 * of a pipeline are in the group of its first, and whoever started that one started them. In a container everything
 * may be of one session, init too: then only the parents tell.
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

/** One that ended in between needs nothing more; one that is not ours to touch is among those left. */
function attempt(act: () => void): void {
  try {
    act();
  } catch {
    return;
  }
}
