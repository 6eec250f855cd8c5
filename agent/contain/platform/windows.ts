import { runWithin } from "../../platform/run-command.ts";
import { readState, writeState } from "../../platform/state-files.ts";
import { isLoopback, isPlainAddress } from "../network/addresses.ts";
import { attempt } from "../network/tcp-connect.ts";
import { blockingEnforcers, type Enforcers, type HostOptions } from "./host-enforcers.ts";
import { POWERSHELL, profiles, windowsFirewall } from "./windows-firewall.ts";
import type { Profile } from "./windows-firewall-scripts.ts";
import { openSuspension, type Suspension, windowsProcesses } from "./windows-processes.ts";

/**
 * Timeout of a PowerShell script in milliseconds. PowerShell needs a few seconds for two dozen rules, and
 * longer on a busy host.
 */
const POWERSHELL_TIMEOUT_MS = 60_000;
/** Number of daemon rounds (4 s each) between two checks, because each check starts PowerShell at least twice. */
const CHECK_EVERY_ROUNDS = 8;
const PROFILES_FILE = "firewall-before.json";
const BEFORE = profiles.nullable();

/** The blocking modes on Windows. They use Windows Firewall and process suspension, and need an elevated account. */
export async function windowsEnforcers(options: HostOptions): Promise<Enforcers> {
  const { directory } = options;
  const run = runWithin(POWERSHELL_TIMEOUT_MS);
  const { suspend, wake, end } = await openSuspension().catch(cannotSuspend);
  return blockingEnforcers(options, {
    firewall: windowsFirewall({
      run,
      attempt,
      loadProfiles: () => readState(directory, PROFILES_FILE, BEFORE) ?? undefined,
      saveProfiles: (before: readonly Profile[] | undefined) =>
        writeState(directory, PROFILES_FILE, before ?? null),
    }),
    resolvers: async () => serverAddresses((await run(POWERSHELL, RESOLVERS_SCRIPT)).stdout),
    dhcpServers: async () => serverAddresses((await run(POWERSHELL, DHCP_SERVERS_SCRIPT)).stdout),
    processes: () => windowsProcesses(run),
    suspend,
    wake,
    end,
    refusesItself: false,
    checkEveryRounds: CHECK_EVERY_ROUNDS,
  });
}

/**
 * Used if the Windows functions cannot be loaded. Every suspension then fails, and the containment report
 * names the processes.
 */
function cannotSuspend(): Suspension {
  const fail = (): never => {
    throw new Error("processes cannot be suspended on this system");
  };
  return { suspend: fail, wake: fail, end: fail };
}

const RESOLVERS_SCRIPT =
  "Get-DnsClientServerAddress | ForEach-Object { $_.ServerAddresses } | Sort-Object -Unique\n";

const DHCP_SERVERS_SCRIPT =
  'Get-CimInstance Win32_NetworkAdapterConfiguration -Filter "DHCPEnabled=TRUE" | ForEach-Object { $_.DHCPServer } | Sort-Object -Unique\n';

/** Parses one address per line. Leaves out the unused site-local addresses of Windows (`fec0:0:0:ffff::1`). */
export function serverAddresses(text: string): string[] {
  const named = text.split("\n").map((line) => line.trim().replace(/%\w+$/, ""));
  return [...new Set(named)].filter(
    (address) => isPlainAddress(address) && !isLoopback(address) && !/^fec0:/i.test(address),
  );
}
