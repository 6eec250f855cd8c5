import { networkInterfaces } from "node:os";
import { z } from "zod";
import { type RunCommand, runCommand } from "../../platform/run-command.ts";
import { readState, writeState } from "../../platform/state-files.ts";
import type { HostProcess } from "../engines/process-tree.ts";
import { isLoopback, isPlainAddress } from "../network/addresses.ts";
import { deviceTo } from "../network/links.ts";
import { connects } from "../network/tcp-connect.ts";
import { blockingEnforcers, type Enforcers, type HostOptions } from "./host-enforcers.ts";
import { pfFirewall } from "./pf-firewall.ts";

const TOKEN_FILE = "pf-token.json";
const token = z.strictObject({
  token: z
    .string()
    .regex(/^\d{1,20}$/)
    .nullable(),
});

/** The blocking modes on macOS. They use pf and signals, and need root. */
export function darwinEnforcers(options: HostOptions): Enforcers {
  const { directory } = options;
  return blockingEnforcers(options, {
    firewall: pfFirewall({
      run: runCommand,
      connects,
      loadToken: () => readState(directory, TOKEN_FILE, token)?.token ?? undefined,
      saveToken: (next) => writeState(directory, TOKEN_FILE, { token: next ?? null }),
    }),
    resolvers: async () => scutilResolvers((await runCommand(["/usr/sbin/scutil", "--dns"])).stdout),
    dhcpServers: () => ipconfigServers(runCommand, Object.keys(networkInterfaces())),
    tunnelTo: async (endpoint) => {
      const device = await deviceTo(endpoint);
      return device !== undefined && /^(utun|ipsec|tun|tap)\d/.test(device) ? device : undefined;
    },
    processes: () => psProcesses(runCommand),
    suspend: ({ pid }) => void process.kill(pid, "SIGSTOP"),
    wake: ({ pid }) => void process.kill(pid, "SIGCONT"),
    // The process list was read a moment ago. macOS assigns pids in sequence, so a pid is reused only after
    // tens of thousands of new processes.
    ask: ({ pid }) => void process.kill(pid, "SIGTERM"),
    end: ({ pid }) => void process.kill(pid, "SIGKILL"),
    refusesItself: true,
  });
}

/**
 * Name servers of all interfaces in the output of `scutil --dns` (`nameserver[0] : 192.0.2.53`), without
 * their scope.
 */
export function scutilResolvers(text: string): string[] {
  const named = [...text.matchAll(/^\s*nameserver\[\d+\] : ([^\s%]+)(?:%\S+)?\s*$/gm)].map(
    (match) => match[1]!,
  );
  return [...new Set(named)].filter((address) => isPlainAddress(address) && !isLoopback(address));
}

/** DHCP server of each interface. For an interface, ipconfig(8) prints one address or nothing. */
export async function ipconfigServers(run: RunCommand, interfaces: readonly string[]): Promise<string[]> {
  const asked = interfaces.map(async (name) => {
    const { stdout } = await run(["/usr/sbin/ipconfig", "getoption", name, "server_identifier"]);
    return stdout.trim();
  });
  return [...new Set(await Promise.all(asked))].filter(isPlainAddress);
}

const ROW = /^\s*(\d+)\s+(\d+)\s+(\d+)\s+(\S+)\s+(\S.*\S)\s*$/;

/**
 * Lists processes with ps(1). Process state `T` means stopped and `Z` means zombie. The start time in whole
 * seconds distinguishes a process from a later one with the same pid. A start time in another language is
 * only compared as text. launchd adopts processes whose parent has ended.
 */
export async function psProcesses(run: RunCommand): Promise<HostProcess[]> {
  const { code, stdout } = await run(["/bin/ps", "-axww", "-o", "pid=,ppid=,pgid=,stat=,lstart="]);
  if (code !== 0) throw new Error("the processes could not be listed");
  return stdout.split("\n").flatMap((line) => {
    const [, pid, parent, group, state, birth] = ROW.exec(line) ?? [];
    if (pid === undefined || state!.startsWith("Z")) return [];
    const startedAtMs = Date.parse(birth!.replace(/^\w{3} +/, ""));
    return [
      {
        pid: Number(pid),
        parent: Number(parent),
        birth: birth!.replace(/\s+/g, " "),
        isStopped: state!.startsWith("T"),
        ...(Number.isFinite(startedAtMs) && { startedAtMs }),
        ...(group !== pid && { group: Number(group), isAdopted: parent === "1" }),
      },
    ];
  });
}
