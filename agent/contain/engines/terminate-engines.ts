import type { Engine } from "../../../shared/wire/heartbeat.ts";
import type { Proof } from "../modes/enforcer.ts";
import { endpointsOf, portsOf, sharedFault, sharedPorts } from "./engine-ports.ts";
import { type HostProcess, isSame, isScanned, sparedOf } from "./process-tree.ts";
import {
  conclude,
  familyWithOrphans,
  judgeGone,
  locateEngines,
  pidsOf,
  processFault,
  STARTED,
  type StopContext,
  type StopDeps,
  targetsOf,
  unsureFault,
} from "./stop-context.ts";
import type { Stopped } from "./stopped-file.ts";
import { terminate } from "./terminate.ts";

/**
 * Grace time in milliseconds between SIGTERM and SIGKILL. `first` is for the first termination, `again` for
 * an engine that was started again.
 */
const GRACE_MS = { first: 5000, again: 1000 } as const;
/** Maximum number of ended processes whose ports stay refused. The newest are kept. */
const ENDED_KEPT_MAX = 64;
/**
 * Number of checks after a termination that request an early scan. Regular scans find engines that are
 * started later.
 */
const EARLY_SCANS = 15;

/**
 * Terminates the engines in the last scan and the processes that were stopped before, even if another program
 * suspended them. Two kinds of processes keep running and are reported: a process that may only have the pid
 * of an engine, and a process that runs this daemon.
 */
export async function terminateEngines(
  context: StopContext,
  isFirst: boolean,
  signal: AbortSignal,
): Promise<Proof> {
  const { deps, state, ports } = context;
  const engines = targetsOf(deps);
  const known = deps.load();
  const processes = await deps.processes();
  const { roots, untouched } = rootsOf(deps, processes, engines, known);
  const family = familyWithOrphans(deps, pidsOf(roots), processes);
  const endpoints = endpointsOf(deps, family, engines);
  const wanted = [...endpoints.map(({ port }) => port), ...known.flatMap((one) => one.ports)];
  const shared = sharedPorts(deps, wanted, engines, family);
  const rules = await ports.refuse(wanted.filter((port) => !shared.has(port)));
  // Save the record first. After a crash, the next start uses it to find processes whose termination was
  // interrupted.
  const record = recordOfEnded(deps, { family, known, engines, shared });
  if (JSON.stringify(record) !== JSON.stringify(known)) deps.save(record);
  const graceMs = isFirst ? GRACE_MS.first : GRACE_MS.again;
  const { all, left } =
    roots.length > 0 ? await terminate(roots, graceMs, deps, signal) : { all: [], left: [] };
  if (all.length > 0) {
    state.earlyScansLeft = EARLY_SCANS;
    state.terminated = new Set(pidsOf(all));
  }
  const gone = await findReplacements(context, engines, known);
  if (state.earlyScansLeft-- > 0) deps.scanSoon();
  state.hasReached ||= await deps.reach(signal);
  const fault =
    processFault("could not be terminated", left) ??
    processFault("could not be identified for certain or run this agent, and keep running", untouched) ??
    rules.fault ??
    gone.fault ??
    sharedFault(shared) ??
    unsureFault(deps);
  return conclude(context, {
    fault,
    open: await ports.openAmong(endpoints),
    isOver: left.length + untouched.length === 0,
    repaired: !isFirst && all.length > 0 ? STARTED : (rules.repaired ?? gone.repaired),
    ...(isFirst && { reason: `${all.length} processes were terminated` }),
  });
}

/** The processes to terminate, and the processes that must keep running. */
function rootsOf(
  { selfPid }: StopDeps,
  processes: readonly HostProcess[],
  engines: readonly Engine[],
  known: readonly Stopped[],
): { roots: HostProcess[]; untouched: HostProcess[] } {
  const named = processes.filter((process) => engines.some((engine) => isScanned(engine, process) === true));
  const stopped = processes.filter((process) => known.some(isSame(process)));
  const spared = sparedOf(processes, selfPid);
  const untouched = processes.filter(
    (process) =>
      engines.some((engine) => isScanned(engine, process) === "unknown") ||
      (spared.has(process.pid) && named.some(isSame(process))),
  );
  const roots = [...named, ...stopped].filter(({ pid }) => !spared.has(pid));
  return { roots, untouched };
}

/**
 * Finds engines that ended with a different process than the terminated one. A termination cannot be undone,
 * so the agent terminates only processes that a scan has identified. A process that took over a socket keeps
 * running until the next scan.
 */
async function findReplacements(
  context: StopContext,
  engines: readonly Engine[],
  known: readonly Stopped[],
): Promise<ReturnType<typeof judgeGone>> {
  const { deps, state } = context;
  const now = locateEngines(
    deps,
    engines.filter(({ pid }) => !state.terminated.has(pid!) && !known.some((one) => one.pid === pid)),
    await deps.processes(),
  );
  return judgeGone(context, {
    ended: now.ended,
    unclearPorts: [...now.unclearPorts, ...now.inheritedPorts],
  });
}

/** Terminated processes stay in the record, because their ports stay refused. */
function recordOfEnded(
  deps: StopDeps,
  found: {
    family: readonly HostProcess[];
    known: readonly Stopped[];
    engines: readonly Engine[];
    shared: ReadonlySet<number>;
  },
): Stopped[] {
  const { family, known, engines, shared } = found;
  const fresh = family
    .filter((process) => !known.some(isSame(process)))
    .map(({ pid, birth }): Stopped => {
      return { pid, birth, ports: portsOf(deps, pid, engines).filter((port) => !shared.has(port)) };
    });
  const old = known.filter((one) => one.ports.length > 0 || family.some(isSame(one)));
  return [...old.slice(-ENDED_KEPT_MAX), ...fresh];
}
