import type { Engine } from "../../../shared/wire/heartbeat.ts";
import type { Proof, ReachControlPlane } from "../modes/enforcer.ts";
import type { Endpoint, Firewall } from "../network/firewall.ts";
import { familyOf, type HostProcess, type Named } from "./process-tree.ts";
import type { RefusedPorts } from "./refused-ports.ts";
import { type createReplacementWatch, type Listener, type Located, locate } from "./replaced-engines.ts";
import type { Stopped } from "./stopped-file.ts";
import { leftBehind, type TerminateDeps } from "./terminate.ts";

/** Kinds of engines that compute on this host. Gateways, notebooks and databases keep running. */
export const STOPPED_KINDS: ReadonlySet<Engine["kind"]> = new Set([
  "inference-engine",
  "inference-app",
  "embedding-server",
  "image",
  "speech",
  "weights",
  "generic",
]);

/** Maximum number of processes and ports in one message. */
const NAMED_MAX = 5;

export const STARTED = "engines were started during the isolation";

export type StopDeps = TerminateDeps & {
  firewall: Firewall;
  /** Engines in the last scan. */
  engines: () => readonly Engine[];
  /**
   * Engines that were identified only by an address or by memory use. Another user can cause such evidence,
   * so the agent does not stop these engines.
   */
  unsure?: () => readonly Engine[];
  /** Resumes a suspended process. Throws the same errors as `suspend`. */
  wake: (process: Named) => void;
  /**
   * Whether the firewall also refuses connections from this host to itself. Only then can the agent test a
   * port by connecting to it.
   */
  refusesItself: boolean;
  /** Requests an early scan, because terminated engines may have been started again. */
  scanSoon: () => void;
  connect: (endpoint: Endpoint) => Promise<boolean>;
  /**
   * Endpoints on which these processes listen, as reported by the kernel. Absent on systems that do not
   * report them.
   */
  listening?: ((pids: readonly number[]) => readonly Endpoint[]) | undefined;
  /** Listeners on these ports, as reported by the kernel. Absent on systems that do not report them. */
  listeners?: ((ports: readonly number[]) => readonly Listener[]) | undefined;
  reach: ReachControlPlane;
  /** The stopped processes. The list survives a restart of the daemon, because a release must resume them. */
  load: () => Stopped[];
  save: (all: readonly Stopped[]) => void;
  /** True if the list of stopped processes could not be read. A release can then leave processes suspended. */
  isLost?: () => boolean;
};

/** State of mode `stop-engines` between two checks. */
export type StopState = {
  /**
   * Whether a check has reached the control plane. Stays true, because a later outage of the control plane
   * says nothing about this host.
   */
  hasReached: boolean;
  /** Number of remaining checks that request an early scan after a termination. */
  earlyScansLeft: number;
  /** Processes that were suspended at the end of the last check, with their CPU time at that moment. */
  suspended: readonly HostProcess[];
  /** Pids of the processes that the agent terminated last. Their absence is expected. */
  terminated: ReadonlySet<number>;
};

export const initialStopState = (): StopState => ({
  hasReached: false,
  earlyScansLeft: 0,
  suspended: [],
  terminated: new Set(),
});

export type StopContext = {
  deps: StopDeps;
  state: StopState;
  ports: RefusedPorts;
  replacements: ReturnType<typeof createReplacementWatch>;
};

const isStoppable = ({ kind }: Engine): boolean => STOPPED_KINDS.has(kind);

/** Engines in the last scan that mode `stop-engines` stops. */
export const targetsOf = ({ engines }: StopDeps): readonly Engine[] => engines().filter(isStoppable);

export const locateEngines = (
  deps: StopDeps,
  engines: readonly Engine[],
  processes: readonly HostProcess[],
): Located => locate(engines, processes, deps.listeners ?? (() => []));

/** The given processes with all descendants, and processes that remain in a process group that one of them led. */
export function familyWithOrphans(
  { selfPid }: StopDeps,
  roots: readonly number[],
  processes: readonly HostProcess[],
): HostProcess[] {
  const family = familyOf(roots, processes, selfPid);
  const orphans = leftBehind(family, processes);
  return familyOf([...roots, ...pidsOf(orphans)], processes, selfPid);
}

export const pidsOf = (all: readonly Named[]): number[] => all.map(({ pid }) => pid);

/** Formats a fault as `processes 1, 2 …`. Undefined for an empty list. */
export const processFault = (what: string, all: readonly Named[]): string | undefined =>
  all.length > 0 ? `processes ${pidsOf(all).slice(0, NAMED_MAX).join(", ")} ${what}` : undefined;

/** Formats a fault as `ports 1, 2 …`. Undefined for an empty list. */
export const portFault = (what: string, all: readonly number[]): string | undefined =>
  all.length > 0 ? `ports ${all.slice(0, NAMED_MAX).join(", ")} ${what}` : undefined;

/** Names the uncertain engines that keep running. While such an engine runs, the isolation is not in force. */
export function unsureFault(deps: StopDeps): string | undefined {
  const ports = (deps.unsure?.() ?? []).filter(isStoppable).flatMap((engine) => engine.ports);
  const what = "were identified only by a container's address or by memory use, and keep running";
  const fault = portFault(what, ports);
  return fault && `engines at ${fault}`;
}

/**
 * Returns faults and repairs for scanned processes that ended although the agent did not stop them. Requests
 * an early scan.
 */
export function judgeGone(
  { deps, replacements }: StopContext,
  { ended, unclearPorts }: Pick<Located, "ended" | "unclearPorts">,
): { fault: string | undefined; repaired: string | undefined } {
  if (ended.length > 0 || unclearPorts.length > 0) deps.scanSoon();
  const [replaced] = replacements.note(ended);
  const repaired =
    replaced === undefined
      ? undefined
      : `${replaced} keeps replacing its process before the agent can stop it`;
  const unclear = portFault("", unclearPorts)?.trim();
  const fault =
    unclear && `engines have ended, and processes that no scan has identified now listen on their ${unclear}`;
  return { fault: fault ?? repaired, repaired };
}

/**
 * Builds the proof of a check. An engine whose port accepts connections is not stopped, even if everything
 * else succeeded.
 */
export function conclude(
  { state, ports }: StopContext,
  found: {
    fault: string | undefined;
    open: readonly number[];
    isOver: boolean;
    repaired: string | undefined;
    reason?: string;
  },
): Proof {
  const { open, isOver, repaired, reason } = found;
  const fault = found.fault ?? portFault("still accept connections", open);
  return {
    outcome: fault === undefined ? "applied" : "failed",
    ...((fault ?? reason) !== undefined && { reason: (fault ?? reason)! }),
    probes: {
      controlPlaneReachable: state.hasReached,
      forbiddenBlocked: isOver && open.length === 0 && ports.isInForce(),
    },
    ...(repaired !== undefined && { repaired }),
  };
}

/**
 * Delays in milliseconds between checks of a signal's effect. A busy host can take some time to schedule the
 * process.
 */
const SETTLING_MS = [0, 20, 50, 100, 200, 400, 800] as const;

/** Waits up to 1.6 seconds until the condition is true. A stop of the daemon does not end the wait early. */
export async function settles({ sleep }: StopDeps, isSo: () => Promise<boolean>): Promise<boolean> {
  for (const ms of SETTLING_MS) {
    if (ms > 0) await sleep(ms, new AbortController().signal);
    if (await isSo()) return true;
  }
  return false;
}

/** Returns false if the function threw, because then the process has ended or is protected. */
export function tried(act: () => void): boolean {
  try {
    act();
    return true;
  } catch {
    return false;
  }
}
