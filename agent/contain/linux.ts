import { readdirSync, readFileSync } from "node:fs";
import { runCommand } from "../command.ts";
import { isLoopback, isPlainAddress } from "./addresses.ts";
import { connects } from "./connects.ts";
import { blockingEnforcers, type Enforcers, type HostOptions } from "./host.ts";
import { keptRules } from "./kept-rules.ts";
import { nftFirewall } from "./nft-firewall.ts";
import type { HostProcess } from "./stop-engines.ts";

/** The blocking modes, by nftables and signals. Needs root. */
export function linuxEnforcers(options: HostOptions): Enforcers {
  return blockingEnforcers(options, {
    firewall: nftFirewall({ run: runCommand, connects, keep: keptRules(options.directory, options.log) }),
    resolvers: async () => resolversOf(readOrEmpty),
    processes: async () => hostProcesses(),
    suspend: (pid) => void process.kill(pid, "SIGSTOP"),
    wake: (pid) => void process.kill(pid, "SIGCONT"),
    refusesItself: true,
  });
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

/** What is no plain address never gets into a rule. A scope (`fe80::1%eth0`) is cut off. */
function nameservers(resolvConf: string): string[] {
  return [...resolvConf.matchAll(/^[ \t]*nameserver[ \t]+([^\s%]+)(?:%\S+)?[ \t]*$/gm)]
    .map((match) => match[1]!)
    .filter(isPlainAddress);
}

/** proc_pid_stat(5): state is field 3, the parent 4, the start 22; the name before them may hold anything. */
export function hostProcesses(): HostProcess[] {
  const boot = readOrEmpty("/proc/sys/kernel/random/boot_id").trim();
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      const stat = readOrEmpty(`/proc/${name}/stat`);
      if (!stat) return [];
      const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      const isStopped = fields[0] === "T" || fields[0] === "t";
      return [{ pid: Number(name), parent: Number(fields[1]), birth: `${boot}.${fields[19]}`, isStopped }];
    });
}

function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
