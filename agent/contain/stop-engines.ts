import { z } from "zod";
import type { Engine } from "../../shared/wire/heartbeat.ts";
import type { Enforcer, Order, Proof, ReachControlPlane } from "./enforcer.ts";
import type { Endpoint, Firewall } from "./firewall.ts";

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

/** A process that we stopped, with its ports: one that is suspended may not be recognised as an engine any more. */
export const stopped = z.strictObject({
  pid: z.int().min(2),
  /** Tells it from a later process with the same pid. */
  birth: z.string(),
  ports: z.array(z.int().min(1).max(65_535)).default([]),
});
export type Stopped = z.infer<typeof stopped>;

export type HostProcess = Pick<Stopped, "pid" | "birth"> & { parent: number; isStopped: boolean };

export type StopDeps = {
  firewall: Firewall;
  /** Of the last scan. */
  engines: () => readonly Engine[];
  /** All of this host. Rejects when they cannot be listed: then nobody knows what runs. */
  processes: () => Promise<readonly HostProcess[]>;
  /** Both throw when the process is not there, or not ours to touch. Neither is asked of one that is so already. */
  suspend: (pid: number) => void;
  wake: (pid: number) => void;
  /** Whether the firewall refuses connections of this host to itself too: only then can they be tried. */
  refusesItself: boolean;
  /** This daemon; neither it nor what it was started by is ever stopped. */
  selfPid: number;
  connect: (endpoint: Endpoint) => Promise<boolean>;
  reach: ReachControlPlane;
  /** Survives a restart, so that a release finds what an earlier daemon stopped. */
  load: () => Stopped[];
  save: (all: readonly Stopped[]) => void;
};

/** Mode `stop-engines`: the engines and their children are suspended, and their ports refuse. */
export function stopEnginesEnforcer(deps: StopDeps): Enforcer {
  let ports: string | undefined;
  /** What the firewall says of the rules for these ports while nobody has altered them. */
  let intact: string | undefined;
  /** Once proven it stays so: a later outage of the control plane says nothing of this host. */
  let hasReached = false;

  const targets = (): readonly Engine[] => deps.engines().filter(({ kind }) => STOPPED_KINDS.has(kind));

  /** Suspends what runs; says what could not be. */
  async function suspend(fresh: readonly HostProcess[]): Promise<string | undefined> {
    const failed = fresh.filter(({ pid }) => !tried(() => deps.suspend(pid)));
    if (failed.length === 0) return undefined;
    const awake = (await deps.processes()).filter(({ isStopped }) => !isStopped);
    const loud = failed.filter((each) => awake.some(isSame(each))).map(({ pid }) => pid);
    return loud.length > 0 ? `processes ${loud.slice(0, 5).join(", ")} could not be stopped` : undefined;
  }

  /** What is ours to wake: stopped by us before, or about to be. What somebody else suspended is theirs. */
  function recordOf(family: readonly HostProcess[], known: readonly Stopped[], engines: readonly Engine[]) {
    return family.flatMap((process): Stopped[] => {
      const before = known.find(isSame(process));
      if (process.isStopped && !before) return [];
      const own = engines.filter(({ pid }) => pid === process.pid).flatMap(({ ports }) => ports);
      const { pid, birth } = process;
      return [{ pid, birth, ports: [...new Set([...(before?.ports ?? []), ...own])] }];
    });
  }

  async function enforce(signal: AbortSignal): Promise<Proof> {
    const engines = targets();
    const processes = await deps.processes();
    const known = deps.load().filter((each) => processes.some(isSame(each)));
    const roots = [...engines.flatMap(({ pid }) => pid ?? []), ...known.map(({ pid }) => pid)];
    const family = familyOf(roots, processes, deps.selfPid);
    const record = recordOf(family, known, engines);
    // Written before it is done: a crash in between is released too, and waking hurts no running process.
    if (JSON.stringify(record) !== JSON.stringify(known)) deps.save(record);
    const wanted = [...engines, ...record].flatMap(({ ports }) => ports);
    const fault =
      (await suspend(family.filter(({ isStopped }) => !isStopped))) ?? (await refusePorts(wanted));
    hasReached ||= await deps.reach(signal);
    const probes = { controlPlaneReachable: hasReached, forbiddenBlocked: await isStill(engines, family) };
    return fault ? { outcome: "failed", reason: fault, probes } : { outcome: "applied", probes };
  }

  async function refusePorts(wanted: readonly number[]): Promise<string | undefined> {
    const name = [...new Set(wanted)].sort((a, b) => a - b).join(",");
    const standing = await deps.firewall.standing();
    if (name === ports && standing !== undefined && standing === intact) return undefined;
    const fault = await deps.firewall.refusePorts(wanted);
    if (fault) return `the engines are stopped, but their ports do not refuse: ${fault}`;
    ports = name;
    intact = await deps.firewall.standing();
    return undefined;
  }

  /** True when every process is really suspended and no port takes a connection. */
  async function isStill(engines: readonly Engine[], family: readonly HostProcess[]): Promise<boolean> {
    const now = await deps.processes();
    if (now.some((each) => !each.isStopped && family.some(isSame(each)))) return false;
    if (!deps.refusesItself) return intact !== undefined;
    const endpoints = engines.flatMap(({ ports, bind }) =>
      ports.flatMap((port) => bind.map((address) => ({ address: reachable(address), port }))),
    );
    return (await Promise.all(endpoints.map(deps.connect))).every((connected) => !connected);
  }

  async function release(order: Order, signal: AbortSignal): Promise<Proof> {
    ports = undefined;
    intact = undefined;
    hasReached = false;
    const stuck = await deps.firewall.remove(order.wasInForce);
    const stopped = deps.load();
    const asleepOf = (processes: readonly HostProcess[]): HostProcess[] =>
      processes.filter((each) => each.isStopped && stopped.some(isSame(each)));
    // Children first: a parent that wakes finds them awake.
    for (const { pid } of asleepOf(await deps.processes())
      .sort(byOrderOf(stopped))
      .toReversed())
      tried(() => deps.wake(pid));
    if (stuck) return { outcome: "failed", reason: `the ports still refuse: ${stuck}` };
    const asleep = asleepOf(await deps.processes());
    if (asleep.length > 0) return { outcome: "failed", reason: `${asleep.length} processes did not wake` };
    deps.save([]);
    return {
      outcome: "applied",
      probes: { controlPlaneReachable: await deps.reach(signal), forbiddenBlocked: null },
    };
  }

  return {
    apply: (_order, signal) => enforce(signal),
    reassert: (_order, signal) => enforce(signal),
    release,
  };
}

type Named = Pick<Stopped, "pid" | "birth">;

const isSame =
  (one: Named) =>
  (other: Named): boolean =>
    one.pid === other.pid && one.birth === other.birth;

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

/** Where to knock for a listener on a wildcard address. */
const reachable = (address: string): string =>
  ({ "0.0.0.0": "127.0.0.1", "::": "::1", "*": "127.0.0.1" })[address] ?? address;

/** The processes and all below them, parents first, without init, this daemon and its ancestors. */
export function familyOf<Process extends Pick<HostProcess, "pid" | "parent">>(
  roots: readonly number[],
  processes: readonly Process[],
  selfPid: number,
): Process[] {
  const byPid = new Map(processes.map((process) => [process.pid, process]));
  const spared = new Set<number>([0, 1]);
  for (let pid: number | undefined = selfPid; pid !== undefined && !spared.has(pid); ) {
    spared.add(pid);
    pid = byPid.get(pid)?.parent;
  }
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
