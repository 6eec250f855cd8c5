import type { Engine } from "../../../shared/wire/heartbeat.ts";
import type { Proof } from "../modes/enforcer.ts";
import { endpointsOf, portsOf, sharedFault, sharedPorts } from "./engine-ports.ts";
import { type HostProcess, isSame, sparedOf } from "./process-tree.ts";
import type { Located } from "./replaced-engines.ts";
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
  settles,
  targetsOf,
  tried,
  unsureFault,
} from "./stop-context.ts";
import type { Stopped } from "./stopped-file.ts";

/**
 * Maximum CPU time in milliseconds that the kernel may count for a suspended process: two ticks of 10 ms. One
 * tick can still be counted after the suspension.
 */
const CPU_MS_MAX = 20;

/** The processes in one check. `family` and `record` grow when new child processes are found. */
type Suspending = {
  engines: readonly Engine[];
  known: readonly Stopped[];
  family: HostProcess[];
  record: Stopped[];
  located: Located;
};

/** Suspends the engines and their descendants, and refuses connections to their ports. */
export async function suspendEngines(
  context: StopContext,
  isFirst: boolean,
  signal: AbortSignal,
): Promise<Proof> {
  const { deps, state, ports } = context;
  const processes = await deps.processes();
  const engines = targetsOf(deps);
  const known = deps.load().filter((each) => processes.some(isSame(each)));
  const named = locateEngines(deps, engines, processes).roots;
  const family = familyWithOrphans(deps, pidsOf([...named, ...known]), processes);
  const record = recordOf(deps, family, known, engines);
  const spared = sparedOf(processes, deps.selfPid);
  const untouched = named.filter(({ pid }) => spared.has(pid));
  const awake = family.filter(({ isStopped }) => !isStopped);
  const resumed = family.filter(
    (each) => (!each.isStopped && known.some(isSame(each))) || hasRun(context, each),
  );
  const isStarted = named.some((one) => !known.some(isSame(one)) && awake.some(isSame(one)));
  // Save the record first. After a crash, a release resumes these processes. Resuming a running process is
  // harmless.
  if (JSON.stringify(record) !== JSON.stringify(known)) deps.save(record);
  const endpoints = endpointsOf(deps, family, engines);
  const wanted = [...endpoints.map(({ port }) => port), ...record.flatMap((one) => one.ports)];
  const unsuspended = await suspend(deps, awake);
  const shared = sharedPorts(deps, wanted, engines, family);
  const rules = await ports.refuse(wanted.filter((port) => !shared.has(port)));
  const fault =
    unsuspended ?? rules.fault ?? processFault("are init or run this agent, and keep running", untouched);
  state.hasReached ||= await deps.reach(signal);
  const suspending = { engines, known, family, record, located: locateEngines(deps, [], []) };
  const isStillNow = () => suspendNewborn(context, suspending);
  const isStill = fault === undefined ? await settles(deps, isStillNow) : await isStillNow();
  const open = await ports.openAmong(endpoints);
  const gone = judgeGone(context, suspending.located);
  const repaired = [
    processFault("were resumed", resumed),
    isStarted && !isFirst ? STARTED : undefined,
    rules.repaired,
    gone.repaired,
  ].find((what) => what !== undefined);
  return conclude(context, {
    fault: fault ?? gone.fault ?? sharedFault(shared) ?? unsureFault(deps),
    open,
    isOver: isStill,
    repaired,
  });
}

/**
 * Suspends processes that were created between the listing of the family and the suspension of their parents.
 * Returns true when all of them are suspended.
 */
async function suspendNewborn({ deps, state }: StopContext, suspending: Suspending): Promise<boolean> {
  const { engines, known, family, record } = suspending;
  const now = await deps.processes();
  suspending.located = locateEngines(deps, engines, now);
  const alive = now.filter((each) => family.some(isSame(each)));
  const roots = pidsOf([...alive, ...suspending.located.roots]);
  const running = familyWithOrphans(deps, roots, now).filter(({ isStopped }) => !isStopped);
  const newborn = running.filter((each) => !family.some(isSame(each)));
  if (newborn.length > 0) {
    family.push(...newborn);
    record.push(...recordOf(deps, newborn, known, engines));
    deps.save(record);
    await suspend(deps, newborn);
  }
  state.suspended = alive.filter(({ isStopped }) => isStopped);
  return running.length === 0 && suspending.located.unclearPorts.length === 0;
}

/** Suspends these processes. Returns a fault that names the processes that still run. */
async function suspend(deps: StopDeps, running: readonly HostProcess[]): Promise<string | undefined> {
  const failed = running.filter((process) => !tried(() => deps.suspend(process)));
  if (failed.length === 0) return undefined;
  const awake = (await deps.processes()).filter(({ isStopped }) => !isStopped);
  const left = failed.filter((each) => awake.some(isSame(each)));
  return processFault("could not be suspended", left);
}

/**
 * Processes that a release must resume: the processes that the agent suspends. A process that another program
 * suspended is left out.
 */
function recordOf(
  deps: StopDeps,
  family: readonly HostProcess[],
  known: readonly Stopped[],
  engines: readonly Engine[],
): Stopped[] {
  return family.flatMap((process): Stopped[] => {
    const before = known.find(isSame(process));
    if (process.isStopped && !before) return [];
    const { pid, birth } = process;
    const ports = [...new Set([...(before?.ports ?? []), ...portsOf(deps, pid, engines)])];
    return [{ pid, birth, ports }];
  });
}

/** True if a process was resumed and suspended again between two checks. The CPU time of the process shows this. */
function hasRun({ state }: StopContext, process: HostProcess): boolean {
  const before = state.suspended.find(isSame(process))?.cpuMs;
  return before !== undefined && (process.cpuMs ?? 0) - before > CPU_MS_MAX;
}
