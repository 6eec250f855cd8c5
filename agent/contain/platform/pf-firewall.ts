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
  /**
   * The token from `pfctl -E`. The token is saved for a restart of the agent, because a release must return
   * it to pf.
   */
  loadToken: () => string | undefined;
  saveToken: (token: string | undefined) => void;
};

/**
 * Maximum number of attempts to install the rules. Another program may change them right after their
 * installation. If that happens at every attempt, the order fails.
 */
const PUT_TRIES_MAX = 3;

/**
 * Arguments that delete all states, one list for each address family. With two `-k` options, pfctl(8) matches
 * the source with the first one and the destination with the second one.
 */
const CUT_STATES = [
  ["-k", "0.0.0.0/0", "-k", "0.0.0.0/0"],
  ["-k", "::/0", "-k", "::/0"],
];

/** `sent`: the rules sent last, as parsed by pfctl (`-n`: without loading them). */
type Pf = PfDeps & { sent: readonly string[] | undefined };

/** Firewall for macOS: one pf anchor, loaded in one transaction. */
export function pfFirewall(deps: PfDeps): Firewall {
  const pf: Pf = { ...deps, sent: undefined };
  return {
    restrict: (rules) => putVerified(pf, pfNetworkRules(rules)),
    refusePorts: (ports) => putVerified(pf, pfPortRules(ports)),
    altered: () => altered(pf),
    remove: (wasInForce) => remove(pf, wasInForce),
    refuses: async (endpoints) => {
      const before = await refusedPackets(pf);
      const connected = await Promise.all(endpoints.map(pf.connects));
      return connected.every((each) => !each) && (await refusedPackets(pf)) > before;
    },
  };
}

const pfctl = ({ run }: Pf, args: readonly string[], stdin?: string) => run(["/sbin/pfctl", ...args], stdin);

/**
 * Enables pf. On macOS, pf is disabled by default and after each boot. After a boot, a saved token is no
 * longer valid.
 */
async function enable(pf: Pf): Promise<string | undefined> {
  const { stdout } = await pfctl(pf, ["-s", "info"]);
  if (isEnabled(stdout) && pf.loadToken() !== undefined) return undefined;
  const result = await pfctl(pf, ["-E"]);
  const token = tokenIn(`${result.stdout}\n${result.stderr}`);
  if (token === undefined) return `pf could not be enabled: ${firstLine(result.stderr)}`;
  pf.saveToken(token);
  return undefined;
}

/** Sends the rules and remembers them as parsed by pfctl. */
async function put(pf: Pf, rules: string): Promise<string | undefined> {
  const { stdout: main } = await pfctl(pf, ["-s", "rules"]);
  const overruled = overruledBy(main);
  if (overruled) return overruled;
  const parsed = await pfctl(pf, ["-a", ANCHOR, "-n", "-v", "-f", "-"], rules);
  if (parsed.code !== 0) return `pf refused the rules: ${faultOf(parsed.stderr)}`;
  const { code, stderr } = await pfctl(pf, ["-a", ANCHOR, "-f", "-"], rules);
  if (code !== 0) return `pf refused the rules: ${faultOf(stderr)}`;
  pf.sent = rulesIn(parsed.stdout);
  return enable(pf);
}

/** Sends the rules and compares the rules in force with them. */
async function putVerified(pf: Pf, rules: string): Promise<string | undefined> {
  let difference: string | undefined;
  for (let tries = 1; tries <= PUT_TRIES_MAX; tries++) {
    const fault = await put(pf, rules);
    if (fault) return fault;
    difference = await altered(pf);
    if (difference !== undefined) continue;
    // Delete existing states, because pf passes packets of a flow with a state without evaluating the rules.
    for (const cut of CUT_STATES) await pfctl(pf, cut);
    return undefined;
  }
  return `the rules were modified each time, right after they were installed: ${difference}`;
}

async function altered(pf: Pf): Promise<string | undefined> {
  if (!pf.sent) return NOTHING_SENT;
  const info = await pfctl(pf, ["-s", "info"]);
  if (!isEnabled(info.stdout)) return "pf was disabled";
  const overruled = overruledBy((await pfctl(pf, ["-s", "rules"])).stdout);
  if (overruled) return overruled;
  const own = await pfctl(pf, ["-a", ANCHOR, "-s", "rules"]);
  const inForce = rulesIn(own.stdout);
  if (own.code === 0 && inForce.join("\n") === pf.sent.join("\n")) return undefined;
  return `${inForce.length} rules are in force instead of the ${pf.sent.length} that were sent`;
}

async function remove(pf: Pf, wasInForce: boolean): Promise<string | undefined> {
  const { code, stderr } = await pfctl(pf, ["-a", ANCHOR, "-F", "rules"]);
  // Flushing rules can fail if they were never loaded.
  if (code !== 0 && wasInForce) return faultOf(stderr);
  pf.sent = undefined;
  const token = pf.loadToken();
  // After a boot, pf does not know a saved token, and `-X` has no effect.
  if (token !== undefined) await pfctl(pf, ["-X", token]);
  pf.saveToken(undefined);
  return undefined;
}

const refusedPackets = async (pf: Pf): Promise<number> =>
  labelledPackets((await pfctl(pf, ["-a", ANCHOR, "-s", "labels"])).stdout);

/** The first line of an error output, without pfctl's notices about ALTQ, which are not faults. */
const faultOf = (stderr: string): string =>
  firstLine(
    stderr
      .split("\n")
      .filter((line) => !/^(No ALTQ support|ALTQ related functions|\s*$)/.test(line))
      .join("\n"),
  );
