import type { RunCommand } from "../command.ts";
import type { Endpoint, Firewall } from "./firewall.ts";
import { COUNTER, networkRules, packetsIn, portRules, removeTable, TABLE } from "./nftables.ts";

const COMMAND_NOT_FOUND = 127;

export type NftDeps = {
  run: RunCommand;
  connects: (endpoint: Endpoint) => Promise<boolean>;
  /** Leaves the rules where the next start of this host finds them, before it has a network; undefined: no more. */
  keep: (rules: string | undefined) => void;
};

/** Linux: one table of nftables, replaced in one transaction. */
export function nftFirewall({ run, connects, keep }: NftDeps): Firewall {
  async function put(rules: string): Promise<string | undefined> {
    const { code, stderr } = await run(["nft", "-f", "-"], rules);
    if (code === COMMAND_NOT_FOUND) return "nft is not installed on this host";
    if (code !== 0) return `nft refused the rules: ${firstLine(stderr)}`;
    keep(rules);
    return undefined;
  }

  async function refusedPackets(): Promise<number> {
    const { stdout } = await run(["nft", "-j", "list", "counter", ...TABLE.split(" "), COUNTER]);
    return packetsIn(stdout) ?? 0;
  }

  return {
    restrict: (rules) => put(networkRules(rules)),
    refusePorts: (ports) => put(portRules(ports)),
    standing: async () => {
      const { code, stdout } = await run(["nft", "--stateless", "list", "table", ...TABLE.split(" ")]);
      return code === 0 ? stdout : undefined;
    },
    remove: async (wasInForce) => {
      // First of all: a host that is freed and starts again must not find them.
      keep(undefined);
      const { code, stderr } = await run(["nft", "-f", "-"], removeTable);
      if (code === 0 || (code === COMMAND_NOT_FOUND && !wasInForce)) return undefined;
      return code === COMMAND_NOT_FOUND ? "nft is not installed on this host" : firstLine(stderr);
    },
    refuses: async (endpoints) => {
      const before = await refusedPackets();
      const connected = await Promise.all(endpoints.map(connects));
      return connected.every((each) => !each) && (await refusedPackets()) > before;
    },
  };
}

export const firstLine = (text: string): string => text.trim().split("\n")[0]!.trim();
