import type { Enforcer, Order, Proof } from "../modes/enforcer.ts";
import { type HostProcess, isSame, type Named } from "./process-tree.ts";
import { RefusedPorts } from "./refused-ports.ts";
import { createReplacementWatch } from "./replaced-engines.ts";
import { initialStopState, type StopContext, type StopDeps, settles, tried } from "./stop-context.ts";
import type { Stopped } from "./stopped-file.ts";
import { suspendEngines } from "./suspend-engines.ts";
import { terminateEngines } from "./terminate-engines.ts";

const LOST =
  "the list of stopped processes was lost: find suspended processes (state T) and resume them with kill -CONT";

/**
 * Mode `stop-engines`: suspends or terminates the engines with all their descendants, and refuses connections to their
 * ports.
 */
export function stopEnginesEnforcer(deps: StopDeps): Enforcer {
  const context: StopContext = {
    deps,
    state: initialStopState(),
    ports: new RefusedPorts(deps),
    replacements: createReplacementWatch(),
  };
  const stop = ({ stopEnginesBy }: Order, isFirst: boolean, signal: AbortSignal): Promise<Proof> =>
    stopEnginesBy === "terminate"
      ? terminateEngines(context, isFirst, signal)
      : suspendEngines(context, isFirst, signal);
  return {
    apply: (order, signal) => stop(order, true, signal),
    reassert: (order, signal) => stop(order, false, signal),
    release: (order, signal) => release(context, order, signal),
  };
}

/** Removes the rules and resumes the suspended processes. Terminated engines are not started again. */
async function release(context: StopContext, order: Order, signal: AbortSignal): Promise<Proof> {
  const { deps, ports, replacements } = context;
  ports.forget();
  replacements.clear();
  context.state = initialStopState();
  const stuck = await deps.firewall.remove(order.wasInForce);
  const stopped = deps.load();
  const suspendedAmong = (processes: readonly HostProcess[]): HostProcess[] =>
    processes.filter((each) => each.isStopped && stopped.some(isSame(each)));
  // Resume children first, so that a resumed parent finds its children running.
  for (const process of suspendedAmong(await deps.processes())
    .sort(byOrderOf(stopped))
    .toReversed())
    tried(() => deps.wake(process));
  if (stuck)
    return { outcome: "failed", reason: `the rules for engine ports could not be removed: ${stuck}` };
  let suspended = 0;
  const isResumed = await settles(deps, async () => {
    suspended = suspendedAmong(await deps.processes()).length;
    return suspended === 0;
  });
  if (!isResumed) return { outcome: "failed", reason: `${suspended} processes did not resume` };
  deps.save([]);
  return {
    outcome: "applied",
    ...(deps.isLost?.() && { reason: LOST }),
    probes: { controlPlaneReachable: await deps.reach(signal), forbiddenBlocked: null },
  };
}

/** Sorts processes in the order of the saved list, in which parents come before their children. */
function byOrderOf(all: readonly Stopped[]): (a: Named, b: Named) => number {
  const place = (one: Named): number => all.findIndex(isSame(one));
  return (a, b) => place(a) - place(b);
}
