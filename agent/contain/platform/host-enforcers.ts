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

/** The system's own resolver tries for half a minute, and longer where it knows several name servers. */
const RESOLVE_MS_MAX = 5000;
const ADDRESSES_FILE = "control-addresses.json";

export type HostOptions = {
  directory: string;
  edgeUrl: string;
  selfPid: number;
  engines: () => readonly Engine[];
  /** Known by an address alone, see {@link StopDeps.unsure}. */
  unsure?: () => readonly Engine[];
  /** The proxy that requests to the control plane go through, unless there is none. */
  proxy?: { name: string; port: number } | undefined;
  reach: ReachControlPlane;
  sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  /** Milliseconds that this process ran, by a monotonic clock. */
  elapsed: () => number;
  log: Log;
  /** The next scan should not wait for its turn. */
  scanSoon: () => void;
};

/** What differs from system to system. */
export type System = Pick<
  StopDeps,
  "processes" | "suspend" | "wake" | "ask" | "end" | "refusesItself" | "listening" | "listeners"
> &
  Pick<NetworkDeps, "resolverUsers" | "connected" | "tunnelTo"> & {
    firewall: Firewall;
    /** Name servers that this host asks; empty when they are not known. */
    resolvers: () => Promise<string[]>;
    /** Servers of the DHCP leases that this host holds, as far as they are known. */
    dhcpServers: () => Promise<string[]>;
    /** Absent where the system does not mark rules. */
    marks?: RuleMarks;
    /** Keeps these marks for the next start of the agent. */
    keptMarks?: KeptMarks;
    /** Writes files of this system's own again that were removed or altered while a mode is in force. */
    restoreFiles?: () => void;
    /** Where a look at what stands is dear: only every so many rounds of the daemon. Default: each. */
    lookEveryRounds?: number;
  };

export type Enforcers = Record<Exclude<Mode, "observe">, Enforcer>;

/** The blocking modes on this system. What they need to remember is in the state directory. */
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
    lookEveryRounds = 1,
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
      lookingEvery(lookEveryRounds, marks ? comparingMarks(marks, enforcer, keptMarks) : enforcer),
    );
  return {
    network: kept(enforcers.network, addresses.restore),
    "stop-engines": kept(enforcers["stop-engines"], stopped.restore),
  };
}

/** After each look the files that the next start needs are as they should be. */
const restoring = (files: readonly (() => void)[], enforcer: Enforcer): Enforcer => ({
  ...enforcer,
  reassert: async (order, signal) => {
    const proof = await enforcer.reassert(order, signal);
    for (const restore of files) restore();
    return proof;
  },
});

/** Orders wait for each other: none waits for a name server that does not answer. */
async function inTime<T>(answer: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error("no name server answered in time")), RESOLVE_MS_MAX);
  });
  return Promise.race([answer, late]).finally(() => clearTimeout(timer));
}

/** Between two looks the last one counts. After a start, an order or a release the next round looks. */
export function lookingEvery(rounds: number, enforcer: Enforcer): Enforcer {
  let last: { proof: Proof; round: number } | undefined;
  const anew =
    (carryOut: Enforcer["apply"]): Enforcer["apply"] =>
    (order, signal) => {
      last = undefined;
      return carryOut(order, signal);
    };
  return {
    apply: anew(enforcer.apply),
    release: anew(enforcer.release),
    reassert: async (order, signal) => {
      if (last && ++last.round < rounds) return last.proof;
      const proof = await enforcer.reassert(order, signal);
      // A repair is counted once, not with each round that repeats its look.
      const { repaired: _, ...repeated } = proof;
      last = { proof: repeated, round: 0 };
      return proof;
    },
  };
}

/** The list of stopped processes, in memory and in its files: what becomes of these does not keep one from being woken. */
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
 * Addresses of the control plane seen before, in memory and in their file. Where the file is gone, those in the rules
 * that are kept for the next start count. None of it is a reason not to isolate: names are resolved all the same.
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
