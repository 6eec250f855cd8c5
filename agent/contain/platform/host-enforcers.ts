import { lookup } from "node:dns/promises";
import { networkInterfaces } from "node:os";
import { z } from "zod";
import type { Engine, Mode } from "../../../shared/wire/heartbeat.ts";
import type { Log } from "../../platform/log.ts";
import { codeOf, readState, StateFault, writeState } from "../../platform/state-files.ts";
import { controlAddressesIn } from "../engines/remains.ts";
import type { StopDeps } from "../engines/stop-context.ts";
import { stopEnginesEnforcer } from "../engines/stop-engines.ts";
import { type Stopped, stoppedFile } from "../engines/stopped-file.ts";
import type { Enforcer, Proof, ReachControlPlane } from "../modes/enforcer.ts";
import type { Firewall } from "../network/firewall.ts";
import { linkPrefixes } from "../network/links.ts";
import type { NetworkDeps } from "../network/network-context.ts";
import { networkEnforcer } from "../network/network-enforcer.ts";
import { connects } from "../network/tcp-connect.ts";
import { savedIn } from "../state/twin-file.ts";
import { comparingMarks, type KeptMarks, type RuleMarks } from "./rule-marks.ts";

/**
 * Timeout in milliseconds for a name lookup. The system's resolver takes half a minute to fail, and longer if
 * there are several name servers.
 */
const RESOLVE_MS_MAX = 5000;
const ADDRESSES_FILE = "control-addresses.json";

export type HostOptions = {
  directory: string;
  edgeUrl: string;
  selfPid: number;
  engines: () => readonly Engine[];
  /** Engines that are not identified for certain, see {@link StopDeps.unsure}. */
  unsure?: () => readonly Engine[];
  /** The proxy to the control plane. Absent for a direct connection. */
  proxy?: { name: string; port: number } | undefined;
  reach: ReachControlPlane;
  sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  /** Milliseconds since this process started, by a monotonic clock. */
  elapsed: () => number;
  log: Log;
  /** Requests an early scan. */
  scanSoon: () => void;
};

/** The functions that differ between systems. */
export type System = Pick<
  StopDeps,
  "processes" | "suspend" | "wake" | "ask" | "end" | "refusesItself" | "listening" | "listeners"
> &
  Pick<NetworkDeps, "resolverUsers" | "connected" | "tunnelTo"> & {
    firewall: Firewall;
    /** Name servers of this host. Empty if unknown. */
    resolvers: () => Promise<string[]>;
    /** Known DHCP servers from this host's leases. */
    dhcpServers: () => Promise<string[]>;
    /** Reads the marks of the installed rules. Absent if the system does not mark rules. */
    marks?: RuleMarks;
    /** Saves these marks for the next start of the agent. */
    keptMarks?: KeptMarks;
    /** Restores system files that were removed or modified during an isolation. */
    restoreFiles?: () => void;
    /**
     * Number of daemon rounds between two checks of the rules. Above 1 on systems where a check is expensive.
     * Default: 1.
     */
    checkEveryRounds?: number;
  };

export type Enforcers = Record<Exclude<Mode, "observe">, Enforcer>;

/** The blocking modes on this system. They keep their state in the state directory. */
export function blockingEnforcers(options: HostOptions, system: System): Enforcers {
  const { directory, edgeUrl, proxy, selfPid, engines, unsure, reach, sleep, elapsed, log, scanSoon } =
    options;
  const {
    firewall,
    resolvers,
    resolverUsers,
    dhcpServers,
    connected,
    tunnelTo,
    restoreFiles,
    marks,
    keptMarks,
    checkEveryRounds = 1,
    ...processes
  } = system;
  const addresses = seenAddresses(directory, log);
  const stopped = stoppedProcesses(directory, log);
  const enforcers: Enforcers = {
    network: networkEnforcer({
      firewall,
      edgeUrl,
      proxy,
      resolve: async (name) => (await inTime(lookup(name, { all: true }))).map(({ address }) => address),
      resolvers,
      resolverUsers,
      links: async () => ({ prefixes: linkPrefixes(networkInterfaces()), dhcpServers: await dhcpServers() }),
      connected,
      tunnelTo,
      load: addresses.load,
      save: addresses.save,
      reach,
      sleep,
      elapsed,
      log,
    }),
    "stop-engines": stopEnginesEnforcer({
      firewall,
      engines,
      ...(unsure && { unsure }),
      ...processes,
      selfPid,
      connect: connects,
      reach,
      sleep,
      scanSoon,
      load: stopped.load,
      save: stopped.save,
      isLost: stopped.isLost,
    }),
  };
  const kept = (enforcer: Enforcer, restore: () => void): Enforcer =>
    restoring(
      [() => restoreFiles?.(), restore],
      checkingEvery(checkEveryRounds, marks ? comparingMarks(marks, enforcer, keptMarks) : enforcer),
    );
  return {
    network: kept(enforcers.network, addresses.restore),
    "stop-engines": kept(enforcers["stop-engines"], stopped.restore),
  };
}

/** After each check, restores the files that the next start needs. */
const restoring = (files: readonly (() => void)[], enforcer: Enforcer): Enforcer => ({
  ...enforcer,
  reassert: async (order, signal) => {
    const proof = await enforcer.reassert(order, signal);
    for (const restore of files) restore();
    return proof;
  },
});

/** Applies a timeout to a name lookup, because later orders wait for it. */
async function inTime<T>(answer: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error("no name server responded in time")), RESOLVE_MS_MAX);
  });
  return Promise.race([answer, late]).finally(() => clearTimeout(timer));
}

/**
 * Checks once every `rounds` rounds and repeats the last proof in between. The first round after a start or
 * an order always checks.
 */
export function checkingEvery(rounds: number, enforcer: Enforcer): Enforcer {
  let last: { proof: Proof; round: number } | undefined;
  const resetting =
    (carryOut: Enforcer["apply"]): Enforcer["apply"] =>
    (order, signal) => {
      last = undefined;
      return carryOut(order, signal);
    };
  return {
    apply: resetting(enforcer.apply),
    release: resetting(enforcer.release),
    reassert: async (order, signal) => {
      if (last && ++last.round < rounds) return last.proof;
      const proof = await enforcer.reassert(order, signal);
      // A repair is reported only once, so repeated proofs do not contain it.
      const { repaired: _, ...repeated } = proof;
      last = { proof: repeated, round: 0 };
      return proof;
    },
  };
}

/**
 * The list of stopped processes, in memory and in its files. A release works even if the files are lost while
 * the agent runs.
 */
function stoppedProcesses(directory: string, log: Log) {
  const file = stoppedFile(directory);
  const saved = savedIn(file, "the list of stopped processes", log);
  let all: readonly Stopped[] | undefined;
  let isLost = false;
  function load(): Stopped[] {
    try {
      all ??= file.read() ?? [];
    } catch (cause) {
      if (!(cause instanceof StateFault)) throw cause;
      log("error", "stopped-processes.lost", { reason: cause.message });
      all = [];
      isLost = true;
    }
    return [...all];
  }
  return {
    load,
    save: (next: readonly Stopped[]): void => {
      all = [...next];
      saved.save([...next]);
    },
    isLost: () => isLost,
    restore: (): void => {
      if (load().length > 0) saved.restore(load());
    },
  };
}

const addressList = z.array(z.string());

/**
 * Known addresses of the control plane, in memory and in a file. If the file is lost, the addresses in the
 * rules for the next boot are used. A lost file does not prevent an isolation, because the agent also
 * resolves the name.
 */
function seenAddresses(directory: string, log: Log) {
  const read = (): string[] | undefined => {
    try {
      return readState(directory, ADDRESSES_FILE, addressList);
    } catch (cause) {
      log("warn", "control-addresses.not-read", { reason: codeOf(cause) });
      return undefined;
    }
  };
  const file = {
    write: (addresses: readonly string[]) => writeState(directory, ADDRESSES_FILE, addresses),
    holds: (addresses: readonly string[]) => JSON.stringify(read()) === JSON.stringify(addresses),
  };
  const saved = savedIn(file, "the list of addresses of the control plane", log);
  let last: readonly string[] | undefined;
  return {
    load: (): string[] => {
      last = read() ?? controlAddressesIn(directory);
      return [...last];
    },
    save: (addresses: readonly string[]): void => {
      last = addresses;
      saved.save(addresses);
    },
    restore: (): void => {
      if (last !== undefined && last.length > 0) saved.restore(last);
    },
  };
}
