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
/** Somebody may change the rules in the moment after they were put; who does so each time makes the order fail. */
const PUT_TRIES_MAX = 3;

export type NftDeps = {
  run: RunCommand;
  connects: (endpoint: Endpoint) => Promise<boolean>;
  /** Keeps the rules for the next start of this host, before it has a network; undefined: there are none any more. */
  keep: (rules: string | undefined) => void;
};

/** Linux: tables of nftables of our own, replaced in one transaction. */
export function nftFirewall({ run, connects, keep }: NftDeps): Firewall {
  /** The rules sent last, as the kernel reported them from that very transaction. */
  let sent: Listing | undefined;

  async function put(rules: string): Promise<string | undefined> {
    const { code, stdout, stderr } = await run(["nft", "--stateless", "--echo", "-f", "-"], rules);
    if (code === COMMAND_NOT_FOUND) return "nft is not installed on this host";
    if (code !== 0) return `nft refused the rules: ${firstLine(stderr)}`;
    const echoed = parseEcho(stdout);
    if (!echoed.has(`table ${TABLE}`)) return "nft did not report the rules that it put (nft --echo)";
    sent = echoed;
    return undefined;
  }

  /** Puts the rules and compares what is in force with what was sent. `lesser` where the kernel refuses the rules. */
  async function putWhole(rules: string, lesser?: string): Promise<string | undefined> {
    let difference: string | undefined;
    for (let tries = 1; tries <= PUT_TRIES_MAX; tries++) {
      const fault = await put(rules);
      if (fault) return lesser === undefined ? fault : putWhole(lesser);
      difference = await altered();
      if (difference !== undefined) continue;
      keep(rules);
      return undefined;
    }
    return `the rules were altered each time right after they were put: ${difference}`;
  }

  const listed = async (table: string): Promise<string | undefined> => {
    const { code, stdout } = await run(["nft", "--stateless", "list", "table", ...table.split(" ")]);
    return code === 0 ? stdout : undefined;
  };

  async function altered(): Promise<string | undefined> {
    if (!sent) return NOTHING_SENT;
    const [ours, ofBridges] = await Promise.all([listed(TABLE), listed(BRIDGE_TABLE)]);
    return differenceOf(sent, parseListing(`${ours ?? ""}\n${ofBridges ?? ""}`));
  }

  async function removeBridges(): Promise<string | undefined> {
    if ((await listed(BRIDGE_TABLE)) === undefined) return undefined;
    const { code, stderr } = await run(["nft", "-f", "-"], removeBridgeTable);
    return code === 0 ? undefined : firstLine(stderr);
  }

  async function refusedPackets(): Promise<number> {
    const { stdout } = await run(["nft", "-j", "list", "counter", ...TABLE.split(" "), COUNTER]);
    return packetsIn(stdout) ?? 0;
  }

  return {
    restrict: async (wanted) => {
      const rules = networkRules(wanted);
      // Not every kernel has rules for bridges; there what is bridged stays as it was.
      return putWhole(rules + bridgeRules, rules);
    },
    refusePorts: async (ports) => (await removeBridges()) ?? (await putWhole(portRules(ports))),
    altered,
    remove: async (wasInForce) => {
      // First of all: a host that is freed and starts again must not find them.
      keep(undefined);
      sent = undefined;
      const bridged = await removeBridges();
      const { code, stderr } = await run(["nft", "-f", "-"], removeTable);
      if (code === 0) return bridged;
      if (code === COMMAND_NOT_FOUND && !wasInForce) return undefined;
      return code === COMMAND_NOT_FOUND ? "nft is not installed on this host" : firstLine(stderr);
    },
    refuses: async (endpoints) => {
      const before = await refusedPackets();
      const connected = await Promise.all(endpoints.map(connects));
      return connected.every((each) => !each) && (await refusedPackets()) > before;
    },
  };
}

/** Never empty: a program that was killed for its time says nothing, and has failed all the same. */
export const firstLine = (text: string): string => text.trim().split("\n")[0]!.trim() || "it gave no reason";
