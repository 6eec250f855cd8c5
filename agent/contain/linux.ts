import { lookup } from "node:dns/promises";
import { readdirSync, readFileSync } from "node:fs";
import { createConnection, isIP } from "node:net";
import { z } from "zod";
import type { Engine, Mode } from "../../shared/wire/heartbeat.ts";
import { runCommand } from "../command.ts";
import { readState, writeState } from "../disk.ts";
import { processBirth } from "../lock.ts";
import type { Log } from "../log.ts";
import type { Enforcer, ReachControlPlane } from "./enforcer.ts";
import { networkEnforcer } from "./network.ts";
import type { Endpoint } from "./nftables.ts";
import { type HostProcess, type Stopped, stopEnginesEnforcer, stopped } from "./stop-engines.ts";

const CONNECT_TIMEOUT_MS = 1500;
const STOPPED_FILE = "stopped.json";

export type LinuxOptions = {
  directory: string;
  edgeUrl: string;
  selfPid: number;
  engines: () => readonly Engine[];
  reach: ReachControlPlane;
  sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  log: Log;
};

/** The blocking modes, by nftables and signals. Needs root. */
export function linuxEnforcers(options: LinuxOptions): Record<Exclude<Mode, "observe">, Enforcer> {
  const { directory, edgeUrl, selfPid, engines, reach, sleep, log } = options;
  return {
    network: networkEnforcer({
      run: runCommand,
      edgeUrl,
      resolve: async (name) => (await lookup(name, { all: true })).map(({ address }) => address),
      resolvers: () => resolversOf(readOrEmpty),
      connect: connects,
      reach,
      sleep,
      log,
    }),
    "stop-engines": stopEnginesEnforcer({
      run: runCommand,
      engines,
      processes: hostProcesses,
      birthOf: (pid) => processBirth(pid, "linux"),
      signal: (pid, signal) => void process.kill(pid, signal),
      selfPid,
      connect: connects,
      reach,
      load: () => loadStopped(directory),
      save: (all: readonly Stopped[]) => writeState(directory, STOPPED_FILE, all),
    }),
  };
}

function loadStopped(directory: string): Stopped[] {
  return readState(directory, STOPPED_FILE, z.array(stopped)) ?? [];
}

/** Files that name the true name servers when resolv.conf names a stub on loopback. */
const UPSTREAM_FILES = [
  "/run/systemd/resolve/resolv.conf",
  "/run/NetworkManager/no-stub-resolv.conf",
  "/run/NetworkManager/resolv.conf",
];

/** Name servers of resolv.conf(5) beyond this host. Empty when only a stub is known, and not whom it asks. */
export function resolversOf(read: (path: string) => string): string[] {
  const named = nameservers(read("/etc/resolv.conf"));
  const beyond = named.filter((address) => !isLoopback(address));
  if (beyond.length === named.length) return beyond;
  return [...new Set([...beyond, ...UPSTREAM_FILES.flatMap((path) => nameservers(read(path)))])].filter(
    (address) => !isLoopback(address),
  );
}

const isLoopback = (address: string): boolean => /^(127\.|::1$)/.test(address);

/** What is no plain address never gets into a rule. A scope (`fe80::1%eth0`) is cut off. */
function nameservers(resolvConf: string): string[] {
  return [...resolvConf.matchAll(/^[ \t]*nameserver[ \t]+([^\s%]+)(?:%\S+)?[ \t]*$/gm)]
    .map((match) => match[1]!)
    .filter((address) => isIP(address) !== 0);
}

/** True when a TCP connection came about within the time, which nothing is sent over. */
export function connects({ address, port }: Endpoint): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ host: address, port });
    const end = (connected: boolean) => (): void => {
      socket.destroy();
      resolve(connected);
    };
    socket.setTimeout(CONNECT_TIMEOUT_MS, end(false));
    socket.on("connect", end(true));
    socket.on("error", end(false));
  });
}

/** proc_pid_stat(5): state is field 3, the parent field 4; the name before them may hold anything. */
export function hostProcesses(): HostProcess[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      const stat = readOrEmpty(`/proc/${name}/stat`);
      const [state, parent] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      return stat
        ? [{ pid: Number(name), parent: Number(parent), isStopped: state === "T" || state === "t" }]
        : [];
    });
}

function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
