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

/** Processes and ports that a message names at most. */
const NAMED_MAX = 5;

export const STARTED = "engines were started during the isolation";

export type StopDeps = TerminateDeps & {
  firewall: Firewall;
  /** Engines of the last scan. */
  engines: () => readonly Engine[];
  /** Engines identified by an address or by memory use only. Another user can cause both, so they keep running. */
  unsure?: () => readonly Engine[];
  /** Resumes a suspended process. Throws as `suspend`. */
  wake: (process: Named) => void;
  /** Whether the firewall also refuses connections from this host to itself, so that the agent can try them. */
  refusesItself: boolean;
  /** Requests an early scan, because terminated engines may be started again. */
  scanSoon: () => void;
  connect: (endpoint: Endpoint) => Promise<boolean>;
  /** Endpoints on which these processes listen, as the kernel reports. Absent where the system does not report them. */
  listening?: ((pids: readonly number[]) => readonly Endpoint[]) | undefined;
  /** Listeners on these ports, as the kernel reports. Absent where the system does not report them. */
  listeners?: ((ports: readonly number[]) => readonly Listener[]) | undefined;
  reach: ReachControlPlane;
  /** The stopped processes, which survive a restart of the daemon: a release resumes them. */
  load: () => Stopped[];
  save: (all: readonly Stopped[]) => void;
  /** Whether that list could not be read. A release may then leave processes suspended. */
  isLost?: () => boolean;
};

/** State of mode `stop-engines` between two checks. */
export type StopState = {
  /** Stays true once proven: a later outage of the control plane says nothing about this host. */
  hasReached: boolean;
  /** Checks that still request an early scan after a termination. */
  earlyScansLeft: number;
  /** Processes that the last check left suspended, with their CPU time at that moment. */
  suspended: readonly HostProcess[];
  /** Pids that the last termination ended. Their absence is the agent's doing. */
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

/** Engines of the last scan that this mode stops. */
export const targetsOf = ({ engines }: StopDeps): readonly Engine[] => engines().filter(isStoppable);

export const locateEngines = (
  deps: StopDeps,
  engines: readonly Engine[],
  processes: readonly HostProcess[],
): Located => locate(engines, processes, deps.listeners ?? (() => []));

/** The processes with all descendants, and the processes left in a process group that one of them led. */
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

/** `processes 1, 2 …`; undefined for an empty list. */
export const processFault = (what: string, all: readonly Named[]): string | undefined =>
  all.length > 0 ? `processes ${pidsOf(all).slice(0, NAMED_MAX).join(", ")} ${what}` : undefined;

/** `ports 1, 2 …`; undefined for an empty list. */
export const portFault = (what: string, all: readonly number[]): string | undefined =>
  all.length > 0 ? `ports ${all.slice(0, NAMED_MAX).join(", ")} ${what}` : undefined;

/** Names engines that may be engines and keep running: an isolation that leaves one running is not in force. */
export function unsureFault(deps: StopDeps): string | undefined {
  const ports = (deps.unsure?.() ?? []).filter(isStoppable).flatMap((engine) => engine.ports);
  const what = "were identified only by a container's address or by memory use, and were left running";
  const fault = portFault(what, ports);
  return fault && `engines at ${fault}`;
}

/** Faults and repairs for scanned processes that are gone without the agent's doing. Requests an early scan. */
export function judgeGone(
  { deps, replacements }: StopContext,
  { ended, unclearPorts }: Pick<Located, "ended" | "unclearPorts">,
): { fault: string | undefined; repaired: string | undefined } {
  if (ended.length > 0 || unclearPorts.length > 0) deps.scanSoon();
  const [replaced] = replacements.note(ended);
  const repaired =
    replaced === undefined ? undefined : `${replaced} replaces its process before the agent can stop it`;
  const unclear = portFault("", unclearPorts)?.trim();
  const fault =
    unclear && `engines have ended, and processes that no scan has identified listen on their ${unclear}`;
  return { fault: fault ?? repaired, repaired };
}

/** The proof of a check. An engine whose port accepts connections is not stopped, even if everything else succeeded. */
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

/** Delays between checks of a signal's effect. On a busy host a process is scheduled late. */
const SETTLING_MS = [0, 20, 50, 100, 200, 400, 800] as const;

/** Waits up to 1.6 seconds until the condition holds. A stop of the daemon does not cut it short. */
export async function settles({ sleep }: StopDeps, isSo: () => Promise<boolean>): Promise<boolean> {
  for (const ms of SETTLING_MS) {
    if (ms > 0) await sleep(ms, new AbortController().signal);
    if (await isSo()) return true;
  }
  return false;
}

/** False if it threw: the process has ended or is protected. */
export function tried(act: () => void): boolean {
  try {
    act();
    return true;
  } catch {
    return false;
  }
}
