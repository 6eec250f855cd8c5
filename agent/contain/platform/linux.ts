import { readdirSync, readFileSync } from "node:fs";
import { runCommand } from "../../platform/run-command.ts";
import type { HostProcess, Named } from "../engines/process-tree.ts";
import { isLoopback, isPlainAddress } from "../network/addresses.ts";
import { connects } from "../network/tcp-connect.ts";
import { keptRules } from "../state/persisted-rules.ts";
import { blockingEnforcers, type Enforcers, type HostOptions, type System } from "./host-enforcers.ts";
import { connectedTo, leasedFrom, readLeases, resolverUsers, tunnelDeviceTo } from "./linux-network.ts";
import { listenersOn, listeningOf } from "./linux-ports.ts";
import { nftFirewall } from "./nft-firewall.ts";
import { keptMarks, nftMarks } from "./rule-marks.ts";

/** The blocking modes on Linux. They use nftables and signals, and need root. */
export function linuxEnforcers(options: HostOptions): Enforcers {
  // Read the boot time once, like the scan does. Otherwise a clock change would make the start times of agent
  // and scan differ.
  const bootMs = bootTimeMs();
  const { keep, restore } = keptRules(options.directory, options.log);
  return blockingEnforcers(options, {
    firewall: nftFirewall({ run: runCommand, connects, keep }),
    restoreFiles: restore,
    marks: nftMarks(runCommand),
    keptMarks: keptMarks(options.directory, bootId(), options.log),
    resolvers: async () => resolversOf(readOrEmpty),
    resolverUsers: async () => resolverUsers(),
    dhcpServers: async () => leasedFrom(readLeases()),
    connected: async (port) => connectedTo(port),
    tunnelTo: tunnelDeviceTo,
    processes: async () => hostProcesses(bootMs),
    ...signals,
    listening: listeningOf,
    listeners: listenersOn,
    refusesItself: true,
  });
}

export const signals: Pick<System, "suspend" | "wake" | "ask" | "end"> = {
  suspend: (named) => signalTo(named, "SIGSTOP"),
  wake: (named) => signalTo(named, "SIGCONT"),
  ask: (named) => signalTo(named, "SIGTERM"),
  end: (named) => signalTo(named, "SIGKILL"),
};

/** Files that list the upstream name servers when resolv.conf contains only a stub on loopback. */
const UPSTREAM_FILES = [
  "/run/systemd/resolve/resolv.conf",
  "/run/NetworkManager/no-stub-resolv.conf",
  "/run/NetworkManager/resolv.conf",
];

/**
 * Name servers outside this host that resolv.conf(5) lists. A stub on loopback is replaced by its upstream
 * servers. Empty if these are unknown.
 */
export function resolversOf(read: (path: string) => string): string[] {
  const named = nameservers(read("/etc/resolv.conf"));
  const beyond = named.filter((address) => !isLoopback(address));
  if (beyond.length === named.length) return beyond;
  return [...new Set([...beyond, ...UPSTREAM_FILES.flatMap((path) => nameservers(read(path)))])].filter(
    (address) => !isLoopback(address),
  );
}

/** Valid addresses of `nameserver` lines, without their scope (`fe80::1%eth0`). */
function nameservers(resolvConf: string): string[] {
  return [...resolvConf.matchAll(/^[ \t]*nameserver[ \t]+([^\s%]+)(?:%\S+)?[ \t]*$/gm)]
    .map((match) => match[1]!)
    .filter(isPlainAddress);
}

/** Clock ticks per second in /proc: 100 on every Linux that Bun supports (USER_HZ, time(7)). */
const TICKS_PER_SECOND = 100;

function bootTimeMs(): number | undefined {
  const seconds = /^btime (\d+)$/m.exec(readOrEmpty("/proc/stat"))?.[1];
  return seconds === undefined ? undefined : Number(seconds) * 1000;
}

type Stat = Omit<HostProcess, "isAdopted" | "isStopped"> & {
  group: number;
  session: number;
  /** State of the first thread. */
  leader: string;
  threads: number;
};

/** All processes except zombies. */
export function hostProcesses(bootMs = bootTimeMs()): HostProcess[] {
  const boot = bootId();
  const stats = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => parseStat(readOrEmpty(`/proc/${name}/stat`), boot, bootMs) ?? []);
  const sessions = new Map(stats.map(({ pid, session }) => [pid, session]));
  return stats.map(({ group, session, leader, threads, ...stat }) => {
    const process = { ...stat, isStopped: isStopped(stat.pid, leader, threads) };
    // A process belongs to its parent's session, unless it has started a session and leads its own group.
    if (group === process.pid) return process;
    return { ...process, group, isAdopted: sessions.get(process.parent) !== session };
  });
}

/**
 * Whether all threads are stopped. /proc shows only the state of a process's first thread. A tracer can stop
 * the first thread while others run (ptrace(2)), and the first thread can have ended while others are
 * stopped.
 */
function isStopped(pid: number, leader: string, threads: number): boolean {
  if (!/^[TtZXx]$/.test(leader)) return false;
  if (threads <= 1) return /^[Tt]$/.test(leader);
  const states = namesIn(`/proc/${pid}/task`).map((thread) =>
    stateIn(readOrEmpty(`/proc/${pid}/task/${thread}/stat`)),
  );
  // A thread that has just ended has no state.
  return states.some((state) => /^[Tt]$/.test(state)) && states.every((state) => /^[TtZXx]?$/.test(state));
}

const fieldsOf = (stat: string): string[] => stat.slice(stat.lastIndexOf(")") + 2).split(" ");
const stateIn = (stat: string): string => (stat === "" ? "" : fieldsOf(stat)[0]!);

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

/**
 * Parses these fields of proc_pid_stat(5): state (3), parent (4), group (5), session (6), CPU time (14 and
 * 15), threads (20) and start (22). The name in field 2 can contain any character. A zombie with several
 * threads has not ended.
 */
function parseStat(stat: string, boot: string, bootMs: number | undefined): Stat | undefined {
  const fields = fieldsOf(stat);
  const [state, parent, group, session] = fields;
  if (state === undefined || session === undefined) return undefined;
  const threads = Number(fields[17]);
  if (/^[ZXx]$/.test(state) && threads <= 1) return undefined;
  return {
    pid: Number.parseInt(stat, 10),
    parent: Number(parent),
    group: Number(group),
    session: Number(session),
    birth: `${boot}.${fields[19]}`,
    leader: state,
    threads,
    cpuMs: ((Number(fields[11]) + Number(fields[12])) * 1000) / TICKS_PER_SECOND,
    ...(bootMs !== undefined && { startedAtMs: bootMs + (Number(fields[19]) * 1000) / TICKS_PER_SECOND }),
  };
}

const bootId = (): string => readOrEmpty("/proc/sys/kernel/random/boot_id").trim();

/**
 * Sends a signal to this process after checking that no later process has its pid. Throws if the process has
 * ended.
 */
function signalTo({ pid, birth }: Named, signal: NodeJS.Signals): void {
  const now = parseStat(readOrEmpty(`/proc/${pid}/stat`), bootId(), undefined);
  if (now?.birth !== birth) throw new Error(`process ${pid} has ended or its pid was reused`);
  process.kill(pid, signal);
}

function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
