import type { RunCommand } from "../../platform/run-command.ts";
import { type Endpoint, type Firewall, NOTHING_SENT } from "../network/firewall.ts";
import { differenceOf, type Listing, parseEcho, parseListing } from "./nft-listing.ts";
import {
  BRIDGE_TABLE,
  bridgeRules,
  COUNTER,
  networkRules,
  packetsIn,
  portRules,
  removeBridgeTable,
  removeTable,
  TABLE,
} from "./nftables.ts";

const COMMAND_NOT_FOUND = 127;
/**
 * Maximum number of attempts to install the rules. Another program may change them right after their
 * installation. If that happens at every attempt, the order fails.
 */
const PUT_TRIES_MAX = 3;
const NOT_INSTALLED = "nft is not installed on this host";

export type NftDeps = {
  run: RunCommand;
  connects: (endpoint: Endpoint) => Promise<boolean>;
  /**
   * Saves the rules that are installed at the next boot, before the network is up. Undefined deletes the
   * saved rules.
   */
  keep: (rules: string | undefined) => void;
};

/** `sent`: the rules sent last, as the kernel reported them in that transaction. */
type Nft = NftDeps & { sent: Listing | undefined };

/** Firewall for Linux: separate nftables tables of the agent, replaced in one transaction. */
export function nftFirewall(deps: NftDeps): Firewall {
  const nft: Nft = { ...deps, sent: undefined };
  return {
    restrict: async (wanted) => {
      const rules = networkRules(wanted);
      // Some kernels do not support bridge rules. On these, the agent does not block bridged traffic.
      return putVerified(nft, rules + bridgeRules, rules);
    },
    refusePorts: async (ports) => (await removeBridges(nft)) ?? (await putVerified(nft, portRules(ports))),
    altered: () => altered(nft),
    remove: (wasInForce) => remove(nft, wasInForce),
    refuses: async (endpoints) => {
      const before = await refusedPackets(nft);
      const connected = await Promise.all(endpoints.map(nft.connects));
      return connected.every((each) => !each) && (await refusedPackets(nft)) > before;
    },
  };
}

/** Sends the rules, and remembers them in the notation in which the kernel reports them. */
async function put(nft: Nft, rules: string): Promise<string | undefined> {
  const { code, stdout, stderr } = await nft.run(["nft", "--stateless", "--echo", "-f", "-"], rules);
  if (code === COMMAND_NOT_FOUND) return NOT_INSTALLED;
  if (code !== 0) return `nft refused the rules: ${firstLine(stderr)}`;
  const echoed = parseEcho(stdout);
  if (!echoed.has(`table ${TABLE}`)) return "nft did not report the rules that it installed (nft --echo)";
  nft.sent = echoed;
  return undefined;
}

/** Sends the rules and compares the rules in force with them. If the kernel refuses the rules, sends `fallback`. */
async function putVerified(nft: Nft, rules: string, fallback?: string): Promise<string | undefined> {
  let difference: string | undefined;
  for (let tries = 1; tries <= PUT_TRIES_MAX; tries++) {
    const fault = await put(nft, rules);
    if (fault) return fallback === undefined ? fault : putVerified(nft, fallback);
    difference = await altered(nft);
    if (difference !== undefined) continue;
    nft.keep(rules);
    return undefined;
  }
  return `the rules were modified each time, right after they were installed: ${difference}`;
}

async function altered(nft: Nft): Promise<string | undefined> {
  if (!nft.sent) return NOTHING_SENT;
  const [own, ofBridges] = await Promise.all([listed(nft, TABLE), listed(nft, BRIDGE_TABLE)]);
  return differenceOf(nft.sent, parseListing(`${own ?? ""}\n${ofBridges ?? ""}`));
}

async function remove(nft: Nft, wasInForce: boolean): Promise<string | undefined> {
  // Delete the saved rules first. A released host must not load them at its next boot.
  nft.keep(undefined);
  nft.sent = undefined;
  const bridgeFault = await removeBridges(nft);
  const { code, stderr } = await nft.run(["nft", "-f", "-"], removeTable);
  if (code === 0) return bridgeFault;
  if (code === COMMAND_NOT_FOUND && !wasInForce) return undefined;
  return code === COMMAND_NOT_FOUND ? NOT_INSTALLED : firstLine(stderr);
}

async function removeBridges(nft: Nft): Promise<string | undefined> {
  if ((await listed(nft, BRIDGE_TABLE)) === undefined) return undefined;
  const { code, stderr } = await nft.run(["nft", "-f", "-"], removeBridgeTable);
  return code === 0 ? undefined : firstLine(stderr);
}

/** The listing of a table. Undefined if the table does not exist. */
async function listed({ run }: Nft, table: string): Promise<string | undefined> {
  const { code, stdout } = await run(["nft", "--stateless", "list", "table", ...table.split(" ")]);
  return code === 0 ? stdout : undefined;
}

async function refusedPackets({ run }: Nft): Promise<number> {
  const { stdout } = await run(["nft", "-j", "list", "counter", ...TABLE.split(" "), COUNTER]);
  return packetsIn(stdout) ?? 0;
}

/**
 * The first line of an error output. Returns a default text for an empty output, for example of a program
 * that was killed after a timeout.
 */
export const firstLine = (text: string): string => text.trim().split("\n")[0]!.trim() || "no reason given";
