import { z } from "zod";
import type { Engine } from "../../shared/wire/heartbeat.ts";
import type { RunCommand } from "../command.ts";
import type { Enforcer, Order, Proof, ReachControlPlane } from "./enforcer.ts";
import { type Endpoint, portRules, removeTable } from "./nftables.ts";

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

const COMMAND_NOT_FOUND = 127;

/** A process that we stopped; `birth` tells it from a later one with the same pid. */
export const stopped = z.strictObject({ pid: z.int().min(2), birth: z.string() });
export type Stopped = z.infer<typeof stopped>;

export type HostProcess = { pid: number; parent: number; isStopped: boolean };

export type StopDeps = {
  run: RunCommand;
  /** Of the last scan. */
  engines: () => readonly Engine[];
  processes: () => readonly HostProcess[];
  birthOf: (pid: number) => string | undefined;
  signal: (pid: number, signal: "SIGSTOP" | "SIGCONT") => void;
  /** This daemon; neither it nor what it was started by is ever stopped. */
  selfPid: number;
  connect: (endpoint: Endpoint) => Promise<boolean>;
  reach: ReachControlPlane;
  /** Survives a restart, so that a release finds what an earlier daemon stopped. */
  load: () => Stopped[];
  save: (all: readonly Stopped[]) => void;
};

/** Mode `stop-engines`: the engines and their children are suspended (SIGSTOP), their ports refuse. */
export function stopEnginesEnforcer(deps: StopDeps): Enforcer {
  let portsRefused: string | undefined;
  /** Once proven it stays so: a later outage of the control plane says nothing of this host. */
  let hasReached = false;

  const targets = (): readonly Engine[] => deps.engines().filter(({ kind }) => STOPPED_KINDS.has(kind));

  /** Suspends what runs and is not suspended yet; says what could not be. */
  function suspend(pids: readonly number[]): string | undefined {
    const known = deps.load().filter(({ pid, birth }) => deps.birthOf(pid) === birth);
    const fresh = pids
      .filter((pid) => !known.some((other) => other.pid === pid))
      .map((pid) => ({ pid, birth: deps.birthOf(pid) }))
      .filter((process): process is Stopped => process.birth !== undefined);
    // Written before it is done: a crash in between is released too, and SIGCONT hurts no running process.
    if (fresh.length > 0) deps.save([...known, ...fresh]);
    const failed: number[] = [];
    for (const pid of pids) {
      try {
        deps.signal(pid, "SIGSTOP");
      } catch {
        if (deps.birthOf(pid) !== undefined) failed.push(pid);
      }
    }
    return failed.length > 0 ? `processes ${failed.slice(0, 5).join(", ")} could not be stopped` : undefined;
  }

  async function enforce(signal: AbortSignal): Promise<Proof> {
    const engines = targets();
    const pids = familyOf(
      engines.flatMap(({ pid }) => pid ?? []),
      deps.processes(),
      deps.selfPid,
    );
    const fault = suspend(pids) ?? (await refusePorts(engines.flatMap(({ ports }) => ports)));
    hasReached ||= await deps.reach(signal);
    const probes = { controlPlaneReachable: hasReached, forbiddenBlocked: await isStill(engines, pids) };
    return fault ? { outcome: "failed", reason: fault, probes } : { outcome: "applied", probes };
  }

  async function refusePorts(ports: readonly number[]): Promise<string | undefined> {
    const rules = portRules(ports);
    if (
      rules === portsRefused &&
      (await deps.run(["nft", "list", "table", "inet", "lifecyclezero"])).code === 0
    ) {
      return undefined;
    }
    const { code, stderr } = await deps.run(["nft", "-f", "-"], rules);
    if (code === COMMAND_NOT_FOUND)
      return "nft is not installed: the engines are stopped, but their ports do not refuse";
    if (code !== 0) return `nft refused the rules: ${stderr.trim().split("\n")[0]}`;
    portsRefused = rules;
    return undefined;
  }

  /** True when every process is really suspended and no port takes a connection. */
  async function isStill(engines: readonly Engine[], pids: readonly number[]): Promise<boolean> {
    const now = new Map(deps.processes().map((process) => [process.pid, process]));
    if (pids.some((pid) => now.get(pid)?.isStopped === false)) return false;
    const endpoints = engines.flatMap(({ ports, bind }) =>
      ports.flatMap((port) => bind.map((address) => ({ address: reachable(address), port }))),
    );
    return (await Promise.all(endpoints.map(deps.connect))).every((connected) => !connected);
  }

  async function release(order: Order, signal: AbortSignal): Promise<Proof> {
    portsRefused = undefined;
    hasReached = false;
    const { code, stderr } = await deps.run(["nft", "-f", "-"], removeTable);
    const isGone = code === 0 || (code === COMMAND_NOT_FOUND && !order.wasInForce);
    const ours = deps.load().filter(({ pid, birth }) => deps.birthOf(pid) === birth);
    // Children first: a parent that wakes finds them awake.
    for (const { pid } of ours.toReversed()) {
      try {
        deps.signal(pid, "SIGCONT");
      } catch {
        // It ended in between.
      }
    }
    if (!isGone)
      return { outcome: "failed", reason: `the ports still refuse: ${stderr.trim().split("\n")[0]}` };
    const now = new Map(deps.processes().map((process) => [process.pid, process]));
    const asleep = ours.filter(({ pid }) => now.get(pid)?.isStopped);
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

/** Where to knock for a listener on a wildcard address. */
const reachable = (address: string): string =>
  ({ "0.0.0.0": "127.0.0.1", "::": "::1", "*": "127.0.0.1" })[address] ?? address;

/** The processes and all below them, parents first, without init, this daemon and its ancestors. */
export function familyOf(
  roots: readonly number[],
  processes: readonly HostProcess[],
  selfPid: number,
): number[] {
  const parentOf = new Map(processes.map(({ pid, parent }) => [pid, parent]));
  const spared = new Set<number>([0, 1]);
  for (let pid: number | undefined = selfPid; pid !== undefined && !spared.has(pid); pid = parentOf.get(pid))
    spared.add(pid);
  const family = new Set<number>();
  const queue = [...roots];
  for (let pid = queue.shift(); pid !== undefined; pid = queue.shift()) {
    if (spared.has(pid) || family.has(pid)) continue;
    family.add(pid);
    queue.push(...processes.filter(({ parent }) => parent === pid).map((child) => child.pid));
  }
  return [...family];
}
