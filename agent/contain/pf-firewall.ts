import type { RunCommand } from "../command.ts";
import type { Endpoint, Firewall } from "./firewall.ts";
import { firstLine } from "./nft-firewall.ts";
import {
  ANCHOR,
  isEnabled,
  labelledPackets,
  MAIN_ANCHOR,
  pfNetworkRules,
  pfPortRules,
  tokenIn,
} from "./pf.ts";

export type PfDeps = {
  run: RunCommand;
  connects: (endpoint: Endpoint) => Promise<boolean>;
  /** Survives a restart: whoever asked for pf gives its token back. */
  loadToken: () => string | undefined;
  saveToken: (token: string | undefined) => void;
};

/** Both families, from anywhere to anywhere: pfctl(8) takes states by source, and by source and destination. */
const CUT_STATES = [
  ["-k", "0.0.0.0/0", "-k", "0.0.0.0/0"],
  ["-k", "::/0", "-k", "::/0"],
];

/** macOS: one anchor of pf, loaded in one transaction. */
export function pfFirewall({ run, connects, loadToken, saveToken }: PfDeps): Firewall {
  const pfctl = (args: readonly string[], stdin?: string) => run(["/sbin/pfctl", ...args], stdin);

  /** pf is off as macOS ships it, and off again after a start of the host: then the token is worth nothing. */
  async function enable(): Promise<string | undefined> {
    const { stdout } = await pfctl(["-s", "info"]);
    if (isEnabled(stdout) && loadToken() !== undefined) return undefined;
    const said = await pfctl(["-E"]);
    const token = tokenIn(`${said.stdout}\n${said.stderr}`);
    if (token === undefined) return `pf could not be enabled: ${firstLine(said.stderr)}`;
    saveToken(token);
    return undefined;
  }

  async function put(rules: string, cutsStates: boolean): Promise<string | undefined> {
    const { stdout: main } = await pfctl(["-s", "rules"]);
    if (!MAIN_ANCHOR.test(main)) return 'the main ruleset of pf does not evaluate "com.apple/*" any more';
    const { code, stderr } = await pfctl(["-a", ANCHOR, "-f", "-"], rules);
    if (code !== 0) return `pf refused the rules: ${faultOf(stderr)}`;
    const off = await enable();
    if (off) return off;
    // A packet of a flow that has a state is not asked the rules any more.
    if (cutsStates) for (const cut of CUT_STATES) await pfctl(cut);
    return undefined;
  }

  return {
    restrict: (rules) => put(pfNetworkRules(rules), true),
    refusePorts: (ports) => put(pfPortRules(ports), true),
    standing: async () => {
      const [info, main, ours] = [
        await pfctl(["-s", "info"]),
        await pfctl(["-s", "rules"]),
        await pfctl(["-a", ANCHOR, "-s", "rules"]),
      ];
      const isInForce = isEnabled(info.stdout) && MAIN_ANCHOR.test(main.stdout) && ours.code === 0;
      return isInForce ? `${main.stdout}\n${ours.stdout}` : undefined;
    },
    remove: async (wasInForce) => {
      const { code, stderr } = await pfctl(["-a", ANCHOR, "-F", "rules"]);
      // Rules that were never loaded are not there to be flushed.
      if (code !== 0 && wasInForce) return faultOf(stderr);
      const token = loadToken();
      // Of a token from before the last start of the host pf knows nothing: there is nothing to give back.
      if (token !== undefined) await pfctl(["-X", token]);
      saveToken(undefined);
      return undefined;
    },
    refuses: async (endpoints) => {
      const count = async () => labelledPackets((await pfctl(["-a", ANCHOR, "-s", "labels"])).stdout);
      const before = await count();
      const connected = await Promise.all(endpoints.map(connects));
      return connected.every((each) => !each) && (await count()) > before;
    },
  };
}

/** pfctl greets first: what it says of ALTQ is no fault. */
const faultOf = (stderr: string): string =>
  firstLine(
    stderr
      .split("\n")
      .filter((line) => !/^(No ALTQ support|ALTQ related functions|\s*$)/.test(line))
      .join("\n"),
  );
