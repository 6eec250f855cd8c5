import type { RunCommand } from "../../platform/run-command.ts";
import { type Endpoint, type Firewall, NOTHING_SENT } from "../network/firewall.ts";
import { firstLine } from "./nft-firewall.ts";
import {
  ANCHOR,
  isEnabled,
  labelledPackets,
  overruledBy,
  pfNetworkRules,
  pfPortRules,
  rulesIn,
  tokenIn,
} from "./pf.ts";

export type PfDeps = {
  run: RunCommand;
  connects: (endpoint: Endpoint) => Promise<boolean>;
  /** Survives a restart: whoever asked for pf gives its token back. */
  loadToken: () => string | undefined;
  saveToken: (token: string | undefined) => void;
};

/** Somebody may change the rules in the moment after they were put; who does so each time makes the order fail. */
const PUT_TRIES_MAX = 3;

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

  /** The rules of our anchor sent last, as pfctl itself reads them (`-n`: without loading anything). */
  let sent: readonly string[] | undefined;

  async function put(rules: string): Promise<string | undefined> {
    const { stdout: main } = await pfctl(["-s", "rules"]);
    const overruled = overruledBy(main);
    if (overruled) return overruled;
    const read = await pfctl(["-a", ANCHOR, "-n", "-v", "-f", "-"], rules);
    if (read.code !== 0) return `pf refused the rules: ${faultOf(read.stderr)}`;
    const { code, stderr } = await pfctl(["-a", ANCHOR, "-f", "-"], rules);
    if (code !== 0) return `pf refused the rules: ${faultOf(stderr)}`;
    sent = rulesIn(read.stdout);
    return enable();
  }

  /** Puts the rules and compares what is in force with what was sent. */
  async function putWhole(rules: string): Promise<string | undefined> {
    let difference: string | undefined;
    for (let tries = 1; tries <= PUT_TRIES_MAX; tries++) {
      const fault = await put(rules);
      if (fault) return fault;
      difference = await altered();
      if (difference !== undefined) continue;
      // A packet of a flow that has a state is not asked the rules any more.
      for (const cut of CUT_STATES) await pfctl(cut);
      return undefined;
    }
    return `the rules were altered each time right after they were put: ${difference}`;
  }

  async function altered(): Promise<string | undefined> {
    if (!sent) return NOTHING_SENT;
    const info = await pfctl(["-s", "info"]);
    if (!isEnabled(info.stdout)) return "pf was disabled";
    const overruled = overruledBy((await pfctl(["-s", "rules"])).stdout);
    if (overruled) return overruled;
    const ours = await pfctl(["-a", ANCHOR, "-s", "rules"]);
    const inForce = rulesIn(ours.stdout);
    if (ours.code === 0 && inForce.join("\n") === sent.join("\n")) return undefined;
    return `${inForce.length} rules are in force instead of the ${sent.length} that were put`;
  }

  return {
    restrict: (rules) => putWhole(pfNetworkRules(rules)),
    refusePorts: (ports) => putWhole(pfPortRules(ports)),
    altered,
    remove: async (wasInForce) => {
      const { code, stderr } = await pfctl(["-a", ANCHOR, "-F", "rules"]);
      // Rules that were never loaded are not there to be flushed.
      if (code !== 0 && wasInForce) return faultOf(stderr);
      sent = undefined;
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
