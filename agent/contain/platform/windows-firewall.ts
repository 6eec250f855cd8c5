import { createHash } from "node:crypto";
import { z } from "zod";
import type { RunCommand } from "../../platform/run-command.ts";
import { type Firewall, NOTHING_SENT } from "../network/firewall.ts";
import type { attempt } from "../network/tcp-connect.ts";
import { firstLine } from "./nft-firewall.ts";
import {
  GROUP,
  PROFILES_SCRIPT,
  type Profile,
  putScript,
  removeScript,
  ruleName,
  STANDING_SCRIPT,
  sentText,
  standingText,
  type WindowsRule,
  windowsNetworkRules,
  windowsPortRules,
} from "./windows-rules.ts";

const action = z.enum(["Allow", "Block", "NotConfigured"]);

/** What goes back into a command is one of these words and nothing else. */
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

/** What was asked for: the rules in the notation of {@link standingText}, and whether the profiles block the rest. */
type Sent = { rules: readonly string[]; blocksRest: boolean };

export type WindowsDeps = {
  run: RunCommand;
  attempt: typeof attempt;
  /** The profiles as they were before us; kept until they are as they were again. */
  loadProfiles: () => readonly Profile[] | undefined;
  saveProfiles: (before: readonly Profile[] | undefined) => void;
};

/** Read from stdin: no command line of any length, and nothing for a shell to read. */
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

/** Windows Firewall, by its own PowerShell module. Rules and profiles outlive a start of the host by themselves. */
export function windowsFirewall(deps: WindowsDeps): Firewall {
  const powershell = (script: string) => deps.run(POWERSHELL, script);

  /** Before the first change, and not again while it lasts: what stands then is ours. */
  async function rememberProfiles(): Promise<string | undefined> {
    if (deps.loadProfiles() !== undefined) return undefined;
    const { code, stdout, stderr } = await powershell(PROFILES_SCRIPT);
    const parsed = profiles.safeParse(parseOrUndefined(stdout));
    if (code !== 0 || !parsed.success)
      return `the profiles of Windows Firewall could not be read: ${firstLine(stderr)}`;
    deps.saveProfiles(parsed.data);
    return undefined;
  }

  let sent: Sent | undefined;

  async function put(rules: readonly WindowsRule[], blocksRest: boolean): Promise<string | undefined> {
    const unknown = await rememberProfiles();
    if (unknown) return unknown;
    const version = createHash("sha256").update(JSON.stringify(rules)).digest("hex").slice(0, 8);
    const { code, stderr } = await powershell(putScript(rules, version, blocksRest));
    if (code !== 0) return `Windows Firewall refused the rules: ${firstLine(stderr)}`;
    const asSent = rules.map((rule, index) => sentText(rule, ruleName(version, index)));
    sent = { rules: asSent.sort(), blocksRest };
    return altered();
  }

  async function altered(): Promise<string | undefined> {
    if (!sent) return NOTHING_SENT;
    const inForce = await read();
    if (inForce === undefined)
      return `a policy overrules the rules of the group "${GROUP}", or a profile is off`;
    if (sent.blocksRest && !inForce.profiles.every((line) => / Block Block$/.test(line)))
      return "a profile of Windows Firewall no longer blocks by default";
    const rules = inForce.rules.map(standingText);
    const count = sent.rules.length;
    const lost = sent.rules.filter((rule) => !rules.includes(rule)).length;
    if (lost > 0)
      return `${count - lost} of ${count} rules are in force: a policy overrules, or somebody altered them`;
    if (rules.length > count) return `${rules.length - count} rules were added to the group "${GROUP}"`;
    return undefined;
  }

  /** Undefined when nothing of ours is in force: no rules, or a profile that is off. */
  async function read(): Promise<z.infer<typeof standing> | undefined> {
    const { code, stdout } = await powershell(STANDING_SCRIPT);
    const parsed = standing.safeParse(parseOrUndefined(stdout));
    if (code !== 0 || !parsed.success) return undefined;
    return parsed.data.profiles.every((line) => / True /.test(line)) ? parsed.data : undefined;
  }

  return {
    restrict: (rules) => put(windowsNetworkRules(rules), true),
    refusePorts: (ports) => put(windowsPortRules(ports), false),
    altered,
    remove: async (wasInForce) => {
      const before = deps.loadProfiles();
      if (before === undefined && !wasInForce) return undefined;
      const { code, stderr } = await powershell(removeScript(before ?? []));
      if (code !== 0) return firstLine(stderr);
      deps.saveProfiles(undefined);
      sent = undefined;
      return undefined;
    },
    // No counter to ask here: a connection that this host's own firewall refuses fails with a code of its own.
    refuses: async (endpoints) => {
      const outcomes = await Promise.all(endpoints.map(deps.attempt));
      return outcomes.every((outcome) => outcome === "forbidden");
    },
  };
}

function parseOrUndefined(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
