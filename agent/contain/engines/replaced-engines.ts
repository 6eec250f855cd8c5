import type { Engine } from "../../../shared/wire/heartbeat.ts";
import type { Endpoint } from "../network/firewall.ts";
import { type HostProcess, isScanned, START_SLACK_MS } from "./process-tree.ts";

/** A listening socket, as reported by the kernel, and the processes that hold it. */
export type Listener = Endpoint & { holders: readonly Holder[] };
/** `users`: name and numeric id of the user that runs the process. */
type Holder = { pid: number; users: readonly string[] };

/** Maximum number of engines for which the last known process is remembered. The newest are kept. */
const REMEMBERED_MAX = 256;

export type Located = {
  /** Processes of the engines: those found in the scan, and those that took over an engine's socket. */
  roots: HostProcess[];
  /** Ports of processes that took over an engine's socket. */
  inheritedPorts: number[];
  /** Engines whose process has ended and whose ports have no listener. They have ended, or they never used a port. */
  ended: Engine[];
  /** Ports of engines whose process has ended. Another process, possibly of a different program, listens on them. */
  unclearPorts: number[];
};

/**
 * Finds the processes of scanned engines. An engine can pass its listening socket to a new process and end
 * between two checks. If the engine's own process has ended, the processes that hold its sockets are used
 * instead.
 *
 * A port alone proves nothing: any user can listen on a port, end, and let another user's program take the
 * port. A process that holds the socket counts only if it listens on the same address and port, runs as the
 * engine's user, and started no earlier than the engine. So a user can only make the agent stop processes
 * that this user could stop anyway. Addresses in containers are not unique on the host, so sockets in
 * containers are ignored.
 */
export function locate(
  engines: readonly Engine[],
  processes: readonly HostProcess[],
  listeners: (ports: readonly number[]) => readonly Listener[],
): Located {
  const roots: HostProcess[] = [];
  const missing: Engine[] = [];
  for (const engine of engines) {
    const own = processes.filter((process) => isScanned(engine, process));
    if (own.length > 0) roots.push(...own);
    else missing.push(engine);
  }
  const beyondContainers = missing.filter(({ container }) => container === undefined);
  const ports = [...new Set(beyondContainers.flatMap((engine) => engine.ports))];
  const found = ports.length > 0 ? listeners(ports) : [];
  const unclear = new Set<number>();
  const inherited = new Set<number>();
  const ended: Engine[] = [];
  for (const engine of missing) {
    const theirs =
      engine.container === undefined
        ? found.filter(({ address, port }) => engine.ports.includes(port) && engine.bind.includes(address))
        : [];
    if (theirs.length === 0) ended.push(engine);
    for (const { port, holders } of theirs) {
      const heirs = holders.map((holder) => processes.find((process) => isHeir(engine, holder, process)));
      roots.push(...heirs.filter((heir) => heir !== undefined));
      if (heirs.some((heir) => heir !== undefined)) inherited.add(port);
      if (heirs.length === 0 || heirs.includes(undefined)) unclear.add(port);
    }
  }
  return { roots, inheritedPorts: [...inherited], ended, unclearPorts: [...unclear] };
}

function isHeir(engine: Engine, { pid, users }: Holder, process: HostProcess): boolean {
  if (process.pid !== pid || engine.user === undefined || !users.includes(engine.user)) return false;
  if (engine.processStartedAt === undefined || process.startedAtMs === undefined) return false;
  return process.startedAtMs >= Date.parse(engine.processStartedAt) - START_SLACK_MS;
}

/** Detects engines that replace their process repeatedly, so that no check finds a running process. */
export function createReplacementWatch() {
  const lastSeen = new Map<string, string>();
  let replaced = new Set<string>();
  return {
    /** Returns names of engines that ended, were found with another process in a later scan, and ended again. */
    note: (ended: readonly Engine[]): string[] => {
      const now = new Set<string>();
      for (const { id, executable = "", user = "", name, pid, processStartedAt } of ended) {
        if (pid === undefined) continue;
        const key = `${id} ${executable} ${user}`;
        const process = `${pid} ${processStartedAt}`;
        const before = lastSeen.get(key);
        const isOther = before !== undefined && before !== process;
        // Several checks use the same scan, so an engine stays marked as replaced until the next scan.
        if (isOther || replaced.has(name)) now.add(name);
        lastSeen.delete(key);
        lastSeen.set(key, process);
      }
      for (const key of [...lastSeen.keys()].slice(0, -REMEMBERED_MAX)) lastSeen.delete(key);
      replaced = now;
      return [...now];
    },
    clear: (): void => {
      lastSeen.clear();
      replaced.clear();
    },
  };
}
