import { lookup } from "node:dns/promises";
import { networkInterfaces } from "node:os";
import { z } from "zod";
import type { Engine, Mode } from "../../shared/wire/heartbeat.ts";
import { codeOf, readState, writeState } from "../disk.ts";
import type { Log } from "../log.ts";
import { connects } from "./connects.ts";
import type { Enforcer, Proof, ReachControlPlane } from "./enforcer.ts";
import type { Firewall } from "./firewall.ts";
import { linkPrefixes } from "./links.ts";
import { type NetworkDeps, networkEnforcer } from "./network.ts";
import { type StopDeps, type Stopped, stopEnginesEnforcer, stopped } from "./stop-engines.ts";

/** The system's own resolver tries for half a minute, and longer where it knows several name servers. */
const RESOLVE_MS_MAX = 5000;
const STOPPED_FILE = "stopped.json";
const ADDRESSES_FILE = "control-addresses.json";

export type HostOptions = {
  directory: string;
  edgeUrl: string;
  selfPid: number;
  engines: () => readonly Engine[];
  /** The proxy that requests to the control plane go through, unless there is none. */
  proxy?: { name: string; port: number } | undefined;
  reach: ReachControlPlane;
  sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  /** Milliseconds that this process ran, by a clock that nobody sets. */
  elapsed: () => number;
  log: Log;
  /** The next scan should not wait for its turn. */
  hasten: () => void;
};

/** What differs from system to system. */
export type System = Pick<StopDeps, "processes" | "suspend" | "wake" | "ask" | "end" | "refusesItself"> &
  Pick<NetworkDeps, "resolverUsers" | "connected" | "tunnelTo"> & {
    firewall: Firewall;
    /** Name servers that this host asks; empty when they are not known. */
    resolvers: () => Promise<string[]>;
    /** Servers of the DHCP leases that this host holds, as far as they are known. */
    dhcpServers: () => Promise<string[]>;
    /** Where a look at what stands is dear: only every so many rounds of the daemon. Default: each. */
    lookEveryRounds?: number;
  };

export type Enforcers = Record<Exclude<Mode, "observe">, Enforcer>;

/** The blocking modes on this system. What they need to remember is in the state directory. */
export function blockingEnforcers(options: HostOptions, system: System): Enforcers {
  const { directory, edgeUrl, proxy, selfPid, engines, reach, sleep, elapsed, log, hasten } = options;
  const {
    firewall,
    resolvers,
    resolverUsers,
    dhcpServers,
    connected,
    tunnelTo,
    lookEveryRounds = 1,
    ...processes
  } = system;
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
      ...seenAddresses(directory, log),
      reach,
      sleep,
      elapsed,
      log,
    }),
    "stop-engines": stopEnginesEnforcer({
      firewall,
      engines,
      ...processes,
      selfPid,
      connect: connects,
      reach,
      sleep,
      hasten,
      load: () => readState(directory, STOPPED_FILE, z.array(stopped)) ?? [],
      save: (all: readonly Stopped[]) => writeState(directory, STOPPED_FILE, all),
    }),
  };
  return {
    network: lookingEvery(lookEveryRounds, enforcers.network),
    "stop-engines": lookingEvery(lookEveryRounds, enforcers["stop-engines"]),
  };
}

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

/** A file that cannot be read or written is no reason not to isolate: names are asked all the same. */
function seenAddresses(directory: string, log: Log) {
  const told = (cause: unknown): void =>
    log("warn", "addresses of the control plane are not remembered", { reason: codeOf(cause) });
  return {
    load: (): string[] => {
      try {
        return readState(directory, ADDRESSES_FILE, z.array(z.string())) ?? [];
      } catch (cause) {
        told(cause);
        return [];
      }
    },
    save: (addresses: readonly string[]): void => {
      try {
        writeState(directory, ADDRESSES_FILE, addresses);
      } catch (cause) {
        told(cause);
      }
    },
  };
}
