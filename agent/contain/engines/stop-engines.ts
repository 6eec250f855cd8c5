import type { Engine } from "../../../shared/wire/heartbeat.ts";
import type { Enforcer, Order, Proof, ReachControlPlane } from "../modes/enforcer.ts";
import type { Endpoint, Firewall } from "../network/firewall.ts";
import { familyOf, type HostProcess, isSame, isScanned, type Named, sparedOf } from "./process-tree.ts";
import { createReplacementWatch, type Listener, type Located, locate } from "./replaced-engines.ts";
import type { Stopped } from "./stopped-file.ts";
import { leftBehind, type TerminateDeps, terminate } from "./terminate.ts";

/** Engines that compute on this host. Gateways, notebooks and databases are left running. */
export const STOPPED_KINDS: ReadonlySet<Engine["kind"]> = new Set([
  "inference-engine",
  "inference-app",
  "embedding-server",
  "image",
  "speech",
  "weights",
  "generic",
]);

/** What is asked to end has this long the first time, and this long when it was started again. */
const GRACE_MS = { first: 5000, again: 1000 } as const;
/** A signal is obeyed when its process gets its next turn: on a busy host that takes a moment. */
const SETTLING_MS = [0, 20, 50, 100, 200, 400, 800] as const;
/** Ended processes whose ports go on refusing, newest kept. */
const ENDED_KEPT_MAX = 64;
/** Whatever starts engines again does so within this many hastened looks, or is seen by an ordinary one. */
const WATCHFUL_LOOKS = 15;
const NAMED_MAX = 5;
const LOST =
  "the list of stopped processes was lost: look for suspended ones (state T) and wake them by hand";
/** Kernels count CPU time in ticks of 10 ms; a process that stops uses one more at most. */
const CPU_MS_MAX = 20;
const REPLACED = "changes its process before that can be stopped";
const UNCLEAR = "engines ended, and processes that no scan has named listen on their ports";
const UNSURE = "are known by the address of a container or by amounts of memory alone, and were left running";
const SHARED = "are also listened on by programs of other users, and are not refused";
const STARTED = "engines were started while the isolation stood";

export type StopDeps = TerminateDeps & {
  firewall: Firewall;
  /** Of the last scan. */
  engines: () => readonly Engine[];
  /** Engines concluded from an address or from amounts of memory: another user can cause both, so they run on. */
  unsure?: () => readonly Engine[];
  /** Throws as `suspend`; neither is asked of a process that is so already. */
  wake: (process: Named) => void;
  /** Whether the firewall refuses connections of this host to itself too: only then can they be tried. */
  refusesItself: boolean;
  /** The next scan should not wait for its turn: what was terminated may be started again. */
  scanSoon: () => void;
  connect: (endpoint: Endpoint) => Promise<boolean>;
  /** Where these processes listen, whatever a scan knows of it. Absent where a system does not tell. */
  listening?: ((pids: readonly number[]) => readonly Endpoint[]) | undefined;
  /** Who listens on these ports, by the kernel's word. Absent where a system does not report it. */
  listeners?: ((ports: readonly number[]) => readonly Listener[]) | undefined;
  reach: ReachControlPlane;
  /** Survives a restart, so that a release finds what an earlier daemon stopped. */
  load: () => Stopped[];
  save: (all: readonly Stopped[]) => void;
  /** Whether that list could not be read: then a release may leave processes suspended that it does not know. */
  isLost?: () => boolean;
};

/** Mode `stop-engines`: the engines and their children are suspended or terminated, and their ports refuse. */
export function stopEnginesEnforcer(deps: StopDeps): Enforcer {
  /** Ports that refuse; undefined when that is not known. */
  let ports: string | undefined;
  /** Once proven it stays so: a later outage of the control plane says nothing of this host. */
  let hasReached = false;
  let watchfulLooks = 0;
  /** The processes that the last look left suspended, with the CPU time they had used by then. */
  let suspended: readonly HostProcess[] = [];
  const replacements = createReplacementWatch();
  /** Pids that the last termination ended: that they are gone is this agent's doing. */
  let terminated: ReadonlySet<number> = new Set();

  const locateAll = (engines: readonly Engine[], processes: readonly HostProcess[]) =>
    locate(engines, processes, deps.listeners ?? (() => []));

  /** What runs on although it may be an engine: an isolation that leaves one running is not in force. */
  function unsureFault(): string | undefined {
    const ports = (deps.unsure?.() ?? []).filter(isStoppable).flatMap((engine) => engine.ports);
    if (ports.length === 0) return undefined;
    return `engines at ports ${ports.slice(0, NAMED_MAX).join(", ")} ${UNSURE}`;
  }

  const targets = (): readonly Engine[] => deps.engines().filter(isStoppable);

  /**
   * Ports of engines on which a program of another user listens at an address of its own. A rule names a port and no
   * address: refusing it would let any user shut the service of another by an engine on the same number.
   */
  function sharedPorts(
    wanted: readonly number[],
    engines: readonly Engine[],
    family: readonly Named[],
  ): Set<number> {
    const ports = [...new Set(wanted)];
    const found = ports.length > 0 ? (deps.listeners?.(ports) ?? []) : [];
    const pids = new Set(pidsOf(family));
    const isOurs = ({ holders }: Listener): boolean => holders.some(({ pid }) => pids.has(pid));
    const usersOf = (all: readonly Engine[]) => all.flatMap(({ user }) => (user === undefined ? [] : [user]));
    const isOther = (one: Listener): boolean => {
      if (one.holders.length === 0 || isOurs(one)) return false;
      const served = engines.filter((engine) => engine.ports.includes(one.port));
      // What Docker publishes is held by its forwarder, and is the engine's.
      if (served.some(({ container, bind }) => container !== undefined && bind.includes(one.address)))
        return false;
      const own = found.filter((other) => other.port === one.port && isOurs(other));
      const known = [
        ...usersOf(served),
        ...own.flatMap(({ holders }) => holders.flatMap(({ users }) => users)),
      ];
      const owners = known.length > 0 ? known : usersOf(engines);
      return (
        owners.length > 0 && one.holders.every(({ users }) => !users.some((user) => owners.includes(user)))
      );
    };
    return new Set(found.filter(isOther).map(({ port }) => port));
  }

  const sharedFault = (shared: ReadonlySet<number>): string | undefined =>
    shared.size === 0 ? undefined : `ports ${[...shared].slice(0, NAMED_MAX).join(", ")} ${SHARED}`;

  /** Suspends what runs; says what could not be. */
  async function suspend(fresh: readonly HostProcess[]): Promise<string | undefined> {
    const failed = fresh.filter((process) => !tried(() => deps.suspend(process)));
    if (failed.length === 0) return undefined;
    const awake = (await deps.processes()).filter(({ isStopped }) => !isStopped);
    const loud = failed.filter((each) => awake.some(isSame(each))).map(({ pid }) => pid);
    return loud.length > 0 ? `processes ${loud.slice(0, 5).join(", ")} could not be stopped` : undefined;
  }

  function portsOf(pid: number, engines: readonly Engine[]): number[] {
    const scanned = engines.filter((engine) => engine.pid === pid).flatMap(({ ports }) => ports);
    return [...new Set([...scanned, ...(deps.listening?.([pid]) ?? []).map(({ port }) => port)])];
  }

  /** What is ours to wake: stopped by us before, or about to be. What somebody else suspended is theirs. */
  function recordOf(family: readonly HostProcess[], known: readonly Stopped[], engines: readonly Engine[]) {
    return family.flatMap((process): Stopped[] => {
      const before = known.find(isSame(process));
      if (process.isStopped && !before) return [];
      const { pid, birth } = process;
      return [{ pid, birth, ports: [...new Set([...(before?.ports ?? []), ...portsOf(pid, engines)])] }];
    });
  }

  /** What listens of these processes, and what the scan says of its engines. */
  function endpointsOf(family: readonly Named[], engines: readonly Engine[]): Endpoint[] {
    const scanned = engines.flatMap(({ ports, bind }) =>
      ports.flatMap((port) => bind.map((address) => ({ address, port }))),
    );
    return [...scanned, ...(deps.listening?.(pidsOf(family)) ?? [])];
  }

  /** The processes, all below them, and what they left behind in a process group that one of them leads. */
  function familyWithOrphans(roots: readonly number[], processes: readonly HostProcess[]): HostProcess[] {
    const family = familyOf(roots, processes, deps.selfPid);
    const orphans = leftBehind(family, processes);
    return familyOf([...roots, ...pidsOf(orphans)], processes, deps.selfPid);
  }

  async function suspendAll(isFirst: boolean, signal: AbortSignal): Promise<Proof> {
    const processes = await deps.processes();
    const engines = targets();
    const known = deps.load().filter((each) => processes.some(isSame(each)));
    const named = locateAll(engines, processes).roots;
    const family = familyWithOrphans(pidsOf([...named, ...known]), processes);
    const record = recordOf(family, known, engines);
    const spared = sparedOf(processes, deps.selfPid);
    const untouched = named.filter(({ pid }) => spared.has(pid));
    const awake = family.filter(({ isStopped }) => !isStopped);
    const woken = family.filter((each) => (!each.isStopped && known.some(isSame(each))) || hasRun(each));
    const isStarted = named.some((one) => !known.some(isSame(one)) && awake.some(isSame(one)));
    // Written before it is done: a crash in between is released too, and waking hurts no running process.
    if (JSON.stringify(record) !== JSON.stringify(known)) deps.save(record);
    const endpoints = endpointsOf(family, engines);
    const wanted = [...endpoints, ...record.flatMap(({ ports }) => ports.map((port) => ({ port })))];
    const unsuspended = await suspend(awake);
    const numbers = wanted.map(({ port }) => port);
    const shared = sharedPorts(numbers, engines, family);
    const rules = await refusePorts(numbers.filter((port) => !shared.has(port)));
    const fault =
      unsuspended ?? rules.fault ?? faultOf("run this agent, or are init, and were left alone", untouched);
    hasReached ||= await deps.reach(signal);
    /** Suspends what was born since the family was counted, too: until its parent stood still. */
    let located = locateAll([], []);
    const isStillNow = async (): Promise<boolean> => {
      const now = await deps.processes();
      located = locateAll(engines, now);
      const alive = now.filter((each) => family.some(isSame(each)));
      const stirring = familyWithOrphans(pidsOf([...alive, ...located.roots]), now).filter(
        ({ isStopped }) => !isStopped,
      );
      const fresh = stirring.filter((each) => !family.some(isSame(each)));
      if (fresh.length > 0) {
        family.push(...fresh);
        record.push(...recordOf(fresh, known, engines));
        deps.save(record);
        await suspend(fresh);
      }
      suspended = alive.filter(({ isStopped }) => isStopped);
      return stirring.length === 0 && located.unclearPorts.length === 0;
    };
    const isStill = fault === undefined ? await settles(isStillNow) : await isStillNow();
    const open = await openPorts(endpoints);
    const gone = judgeGone(located);
    const repaired = [
      faultOf("were woken", woken),
      isStarted && !isFirst ? STARTED : undefined,
      rules.repaired,
      gone.repaired,
    ].find((what) => what !== undefined);
    return conclude({
      fault: fault ?? gone.fault ?? sharedFault(shared) ?? unsureFault(),
      open,
      isOver: isStill,
      repaired,
    });
  }

  /** What it means that processes the scan saw are gone, without this agent's doing. The next scan tells more. */
  function judgeGone({ ended, unclearPorts }: Pick<Located, "ended" | "unclearPorts">) {
    if (ended.length > 0 || unclearPorts.length > 0) deps.scanSoon();
    const replaced = replacements.note(ended);
    const repaired = replaced.length > 0 ? `${replaced[0]} ${REPLACED}` : undefined;
    const ports = unclearPorts.slice(0, NAMED_MAX).join(", ");
    const unclear = ports === "" ? undefined : `${UNCLEAR} ${ports}; they are left alone until the next scan`;
    return { fault: unclear ?? repaired, repaired };
  }

  /** One that was woken and suspended again between two looks is stopped in both, but it has used CPU time. */
  function hasRun(process: HostProcess): boolean {
    const before = suspended.find(isSame(process))?.cpuMs;
    return before !== undefined && (process.cpuMs ?? 0) - before > CPU_MS_MAX;
  }

  /** An engine whose port takes connections is not stopped, whatever else succeeded. */
  function conclude(found: {
    fault: string | undefined;
    open: readonly number[];
    isOver: boolean;
    repaired: string | undefined;
    reason?: string;
  }): Proof {
    const { open, isOver, repaired, reason } = found;
    const fault =
      found.fault ??
      (open.length > 0 ? `ports ${open.slice(0, NAMED_MAX).join(", ")} still take connections` : undefined);
    return {
      outcome: fault === undefined ? "applied" : "failed",
      ...((fault ?? reason) !== undefined && { reason: (fault ?? reason)! }),
      probes: {
        controlPlaneReachable: hasReached,
        forbiddenBlocked: isOver && open.length === 0 && ports !== undefined,
      },
      ...(repaired !== undefined && { repaired }),
    };
  }

  /**
   * Terminates what the last scan named and what was stopped before, whoever had suspended it. A process that cannot
   * be told from a later one with its pid, and one that this daemon runs under, are left alone and reported.
   */
  async function terminateAll(graceMs: number, signal: AbortSignal): Promise<Proof> {
    const engines = targets();
    const known = deps.load();
    const processes = await deps.processes();
    const named = processes.filter((process) =>
      engines.some((engine) => isScanned(engine, process) === true),
    );
    const stopped = processes.filter((process) => known.some(isSame(process)));
    const spared = sparedOf(processes, deps.selfPid);
    const untouched = processes.filter(
      (process) =>
        engines.some((engine) => isScanned(engine, process) === "unknown") ||
        (spared.has(process.pid) && named.some(isSame(process))),
    );
    const roots = [...named, ...stopped].filter(({ pid }) => !spared.has(pid));
    const family = familyWithOrphans(pidsOf(roots), processes);
    const endpoints = endpointsOf(family, engines);
    const wanted = [...endpoints.map(({ port }) => port), ...known.flatMap(({ ports }) => ports)];
    const shared = sharedPorts(wanted, engines, family);
    const rules = await refusePorts(wanted.filter((port) => !shared.has(port)));
    // Written before it is done: a crash in between finds what may be half ended.
    const record = recordOfEnded(family, known, engines, shared);
    if (JSON.stringify(record) !== JSON.stringify(known)) deps.save(record);
    const { all, left } =
      roots.length > 0 ? await terminate(roots, graceMs, deps, signal) : { all: [], left: [] };
    if (all.length > 0) {
      watchfulLooks = WATCHFUL_LOOKS;
      terminated = new Set(pidsOf(all));
    }
    // Ending is final, so only what a scan named is ended: who took over a socket is left to the next scan.
    const now = locateAll(
      engines.filter(({ pid }) => !terminated.has(pid!) && !known.some((one) => one.pid === pid)),
      await deps.processes(),
    );
    const gone = judgeGone({
      ended: now.ended,
      unclearPorts: [...now.unclearPorts, ...now.inheritedPorts],
    });
    if (watchfulLooks-- > 0) deps.scanSoon();
    hasReached ||= await deps.reach(signal);
    const fault =
      faultOf("could not be terminated", left) ??
      faultOf("could not be told for sure, or run this agent, and were left alone", untouched) ??
      rules.fault ??
      gone.fault ??
      sharedFault(shared) ??
      unsureFault();
    const isFirst = graceMs === GRACE_MS.first;
    return conclude({
      fault,
      open: await openPorts(endpoints),
      isOver: left.length + untouched.length === 0,
      repaired: !isFirst && all.length > 0 ? STARTED : (rules.repaired ?? gone.repaired),
      ...(isFirst && { reason: `${all.length} processes were terminated` }),
    });
  }

  /** Ended processes stay in the record for their ports. */
  function recordOfEnded(
    family: readonly HostProcess[],
    known: readonly Stopped[],
    engines: readonly Engine[],
    shared: ReadonlySet<number>,
  ): Stopped[] {
    const fresh = family
      .filter((process) => !known.some(isSame(process)))
      .map(({ pid, birth }): Stopped => {
        return { pid, birth, ports: portsOf(pid, engines).filter((port) => !shared.has(port)) };
      });
    const old = known.filter((one) => one.ports.length > 0 || family.some(isSame(one)));
    return [...old.slice(-ENDED_KEPT_MAX), ...fresh];
  }

  /** Compares what is in force with what was sent, and puts it again where that differs. */
  async function refusePorts(wanted: readonly number[]): Promise<{ fault?: string; repaired?: string }> {
    const name = [...new Set(wanted)].sort((a, b) => a - b).join(",");
    const altered = await deps.firewall.altered();
    if (name === ports && altered === undefined) return {};
    const isTampered = ports !== undefined && altered !== undefined;
    const repaired = isTampered && { repaired: `the rules for their ports were altered (${altered})` };
    ports = undefined;
    const fault = await deps.firewall.refusePorts(wanted);
    if (fault)
      return { fault: `the engines are stopped, but their ports do not refuse: ${fault}`, ...repaired };
    ports = name;
    return { ...repaired };
  }

  /** Looks until it is so, or until no process can still be on its way there. Not cut short: it is a second and a half. */
  async function settles(isSo: () => Promise<boolean>): Promise<boolean> {
    for (const ms of SETTLING_MS) {
      if (ms > 0) await deps.sleep(ms, new AbortController().signal);
      if (await isSo()) return true;
    }
    return false;
  }

  /** Ports of theirs that take a connection. Where this host is not refused by its own rules, the rules are the proof. */
  async function openPorts(endpoints: readonly Endpoint[]): Promise<number[]> {
    if (!deps.refusesItself) return ports === undefined ? endpoints.map(({ port }) => port) : [];
    const tries = endpoints.map(async ({ address, port }) => {
      const isOpen = await deps.connect({ address: reachable(address), port });
      return isOpen ? [port] : [];
    });
    return [...new Set((await Promise.all(tries)).flat())];
  }

  async function release(order: Order, signal: AbortSignal): Promise<Proof> {
    ports = undefined;
    hasReached = false;
    watchfulLooks = 0;
    suspended = [];
    replacements.clear();
    terminated = new Set();
    const stuck = await deps.firewall.remove(order.wasInForce);
    const stopped = deps.load();
    const asleepOf = (processes: readonly HostProcess[]): HostProcess[] =>
      processes.filter((each) => each.isStopped && stopped.some(isSame(each)));
    // Children first: a parent that wakes finds them awake.
    for (const process of asleepOf(await deps.processes())
      .sort(byOrderOf(stopped))
      .toReversed())
      tried(() => deps.wake(process));
    if (stuck) return { outcome: "failed", reason: `the ports still refuse: ${stuck}` };
    let asleep = 0;
    const isAwake = await settles(async () => {
      asleep = asleepOf(await deps.processes()).length;
      return asleep === 0;
    });
    if (!isAwake) return { outcome: "failed", reason: `${asleep} processes did not wake` };
    deps.save([]);
    return {
      outcome: "applied",
      ...(deps.isLost?.() && { reason: LOST }),
      probes: { controlPlaneReachable: await deps.reach(signal), forbiddenBlocked: null },
    };
  }

  return {
    apply: ({ stopEnginesBy }, signal) =>
      stopEnginesBy === "terminate" ? terminateAll(GRACE_MS.first, signal) : suspendAll(true, signal),
    reassert: ({ stopEnginesBy }, signal) =>
      stopEnginesBy === "terminate" ? terminateAll(GRACE_MS.again, signal) : suspendAll(false, signal),
    release,
  };
}

const isStoppable = ({ kind }: Engine): boolean => STOPPED_KINDS.has(kind);

const pidsOf = (all: readonly Named[]): number[] => all.map(({ pid }) => pid);

const faultOf = (what: string, all: readonly Named[]): string | undefined =>
  all.length > 0 ? `processes ${pidsOf(all).slice(0, NAMED_MAX).join(", ")} ${what}` : undefined;

/** Parents were written down before their children. */
function byOrderOf(all: readonly Stopped[]): (a: Named, b: Named) => number {
  const place = (one: Named): number => all.findIndex(isSame(one));
  return (a, b) => place(a) - place(b);
}

/** False when it threw: the process ended in between, or is not ours to touch. */
function tried(act: () => void): boolean {
  try {
    act();
    return true;
  } catch {
    return false;
  }
}

/** The wildcard address of IPv6, as {@link StopDeps.listening} spells it on Linux. */
const ANY6 = "0000:0000:0000:0000:0000:0000:0000:0000";

/** Where to knock for a listener on a wildcard address. */
const reachable = (address: string): string =>
  ({ "0.0.0.0": "127.0.0.1", "::": "::1", "*": "127.0.0.1", [ANY6]: "::1" })[address] ?? address;
