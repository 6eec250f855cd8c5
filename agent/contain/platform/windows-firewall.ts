import { createHash } from "node:crypto";
import { z } from "zod";
import type { RunCommand } from "../../platform/run-command.ts";
import { type Firewall, NOTHING_SENT } from "../network/firewall.ts";
import type { attempt } from "../network/tcp-connect.ts";
import { firstLine } from "./nft-firewall.ts";
import {
  PROFILES_SCRIPT,
  type Profile,
  putScript,
  removeScript,
  ruleName,
  STANDING_SCRIPT,
  sentText,
  standingText,
} from "./windows-firewall-scripts.ts";
import { GROUP, type WindowsRule, windowsNetworkRules, windowsPortRules } from "./windows-rules.ts";

const action = z.enum(["Allow", "Block", "NotConfigured"]);

/** Only values that match this schema are inserted into a PowerShell command. */
export const profiles = z
  .array(
    z.strictObject({
      name: z.enum(["Domain", "Private", "Public"]),
      enabled: z.enum(["True", "False", "NotConfigured"]),
      inbound: action,
      outbound: action,
    }),
  )
  .min(1)
  .max(3);

const texts = z.array(z.string());
const standing = z.object({
  profiles: texts,
  rules: z.array(
    z.object({
      name: z.string(),
      enabled: z.string(),
      direction: z.string(),
      action: z.string(),
      profile: z.string(),
      protocol: z.string(),
      remoteAddress: texts,
      localAddress: texts,
      remotePort: texts,
      localPort: texts,
      icmpType: texts,
      program: z.string(),
      interface: texts,
    }),
  ),
});

/** The rules sent last, in the notation of {@link standingText}, and whether the profiles block all other traffic. */
type Sent = { rules: readonly string[]; blocksRest: boolean };

export type WindowsDeps = {
  run: RunCommand;
  attempt: typeof attempt;
  /** The profile settings before the agent's first change. They stay saved until they are restored. */
  loadProfiles: () => readonly Profile[] | undefined;
  saveProfiles: (before: readonly Profile[] | undefined) => void;
};

/** Reads the script from standard input, where its length has no limit and no shell parses it. */
export const POWERSHELL = [
  "powershell.exe",
  "-NoLogo",
  "-NoProfile",
  "-NonInteractive",
  "-ExecutionPolicy",
  "Bypass",
  "-Command",
  "$s=[Console]::In.ReadToEnd(); try { & ([scriptblock]::Create($s)) } catch { [Console]::Error.WriteLine($_); exit 1 }",
];

type WindowsState = WindowsDeps & { sent: Sent | undefined };

/**
 * Firewall for Windows: Windows Firewall, through its PowerShell module. Rules and profiles persist across a
 * boot.
 */
export function windowsFirewall(deps: WindowsDeps): Firewall {
  const windows: WindowsState = { ...deps, sent: undefined };
  return {
    restrict: (rules) => put(windows, windowsNetworkRules(rules), true),
    refusePorts: (ports) => put(windows, windowsPortRules(ports), false),
    altered: () => altered(windows),
    remove: (wasInForce) => remove(windows, wasInForce),
    // Windows has no counter for each rule. But a connection that the host's own firewall refuses fails with
    // a specific error code.
    refuses: async (endpoints) => {
      const outcomes = await Promise.all(endpoints.map(windows.attempt));
      return outcomes.every((outcome) => outcome === "forbidden");
    },
  };
}

/**
 * Saves the profiles before the agent's first change. They are not saved again until a release, because the
 * profiles then contain the agent's values.
 */
async function saveProfiles(windows: WindowsState): Promise<string | undefined> {
  if (windows.loadProfiles() !== undefined) return undefined;
  const { code, stdout, stderr } = await windows.run(POWERSHELL, PROFILES_SCRIPT);
  const parsed = profiles.safeParse(parseOrUndefined(stdout));
  if (code !== 0 || !parsed.success)
    return `the profiles of Windows Firewall could not be read: ${firstLine(stderr)}`;
  windows.saveProfiles(parsed.data);
  return undefined;
}

async function put(
  windows: WindowsState,
  rules: readonly WindowsRule[],
  blocksRest: boolean,
): Promise<string | undefined> {
  const fault = await saveProfiles(windows);
  if (fault) return fault;
  const version = createHash("sha256").update(JSON.stringify(rules)).digest("hex").slice(0, 8);
  const { code, stderr } = await windows.run(POWERSHELL, putScript(rules, version, blocksRest));
  if (code !== 0) return `Windows Firewall refused the rules: ${firstLine(stderr)}`;
  const asSent = rules.map((rule, index) => sentText(rule, ruleName(version, index)));
  windows.sent = { rules: asSent.sort(), blocksRest };
  return altered(windows);
}

async function altered(windows: WindowsState): Promise<string | undefined> {
  const { sent } = windows;
  if (!sent) return NOTHING_SENT;
  const inForce = await readStanding(windows);
  if (inForce === undefined)
    return `a policy overrides the rules of the group "${GROUP}", or a profile is off`;
  if (sent.blocksRest && !inForce.profiles.every((line) => / Block Block$/.test(line)))
    return "a profile of Windows Firewall no longer blocks by default";
  const rules = inForce.rules.map(standingText);
  const count = sent.rules.length;
  const lost = sent.rules.filter((rule) => !rules.includes(rule)).length;
  if (lost > 0)
    return `${count - lost} of ${count} rules are in force: a policy overrides the others, or they were modified`;
  if (rules.length > count) return `${rules.length - count} rules were added to the group "${GROUP}"`;
  return undefined;
}

/** The agent's rules in force. Undefined if the profiles cannot be read or one of them is off. */
async function readStanding(windows: WindowsState): Promise<z.infer<typeof standing> | undefined> {
  const { code, stdout } = await windows.run(POWERSHELL, STANDING_SCRIPT);
  const parsed = standing.safeParse(parseOrUndefined(stdout));
  if (code !== 0 || !parsed.success) return undefined;
  return parsed.data.profiles.every((line) => / True /.test(line)) ? parsed.data : undefined;
}

async function remove(windows: WindowsState, wasInForce: boolean): Promise<string | undefined> {
  const before = windows.loadProfiles();
  if (before === undefined && !wasInForce) return undefined;
  const { code, stderr } = await windows.run(POWERSHELL, removeScript(before ?? []));
  if (code !== 0) return firstLine(stderr);
  windows.saveProfiles(undefined);
  windows.sent = undefined;
  return undefined;
}

function parseOrUndefined(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
