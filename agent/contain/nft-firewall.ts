import type { RunCommand } from "../command.ts";
import type { Endpoint, Firewall } from "./firewall.ts";
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

export type NftDeps = {
  run: RunCommand;
  connects: (endpoint: Endpoint) => Promise<boolean>;
  /** Leaves the rules where the next start of this host finds them, before it has a network; undefined: no more. */
  keep: (rules: string | undefined) => void;
};

/** Linux: tables of nftables of our own, replaced in one transaction. */
export function nftFirewall({ run, connects, keep }: NftDeps): Firewall {
  async function put(rules: string): Promise<string | undefined> {
    const { code, stderr } = await run(["nft", "-f", "-"], rules);
    if (code === COMMAND_NOT_FOUND) return "nft is not installed on this host";
    if (code !== 0) return `nft refused the rules: ${firstLine(stderr)}`;
    keep(rules);
    return undefined;
  }

  /** Not every kernel has rules for bridges; there what is bridged stays as it was. */
  async function putWithBridges(rules: string): Promise<string | undefined> {
    return (await put(rules + bridgeRules)) === undefined ? undefined : put(rules);
  }

  const listed = async (table: string): Promise<string | undefined> => {
    const { code, stdout } = await run(["nft", "--stateless", "list", "table", ...table.split(" ")]);
    return code === 0 ? stdout : undefined;
  };

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
    restrict: (rules) => putWithBridges(networkRules(rules)),
    refusePorts: async (ports) => (await put(portRules(ports))) ?? (await removeBridges()),
    standing: async () => {
      const [ours, ofBridges = ""] = await Promise.all([listed(TABLE), listed(BRIDGE_TABLE)]);
      return ours && ours + ofBridges;
    },
    remove: async (wasInForce) => {
      // First of all: a host that is freed and starts again must not find them.
      keep(undefined);
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

/** Never empty: one that was killed for its time says nothing, and has failed all the same. */
export const firstLine = (text: string): string => text.trim().split("\n")[0]!.trim() || "it gave no reason";
