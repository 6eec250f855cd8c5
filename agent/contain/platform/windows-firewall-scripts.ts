import { boundsOf } from "../network/addresses.ts";
import { GROUP, type WindowsRule } from "./windows-rules.ts";

/* PowerShell scripts that install, list and remove the rules of the agent. */

const NAME = "lifecyclezero";

/** A firewall profile before the agent's first change. A release restores exactly these values. */
export type Profile = {
  name: "Domain" | "Private" | "Public";
  enabled: "True" | "False" | "NotConfigured";
  inbound: "Allow" | "Block" | "NotConfigured";
  outbound: "Allow" | "Block" | "NotConfigured";
};

/** Quotes a text for PowerShell, which does not expand anything in single quotes. Quotes inside are doubled. */
export const quoted = (text: string): string => `'${text.replaceAll(/['\u2018-\u201b]/g, "$&$&")}'`;

const listed = (texts: readonly string[]): string => `@(${texts.map(quoted).join(",")})`;

/** Settings of every script: stop at the first error, and print no progress. */
const STRICT = "$ErrorActionPreference='Stop'; $ProgressPreference='SilentlyContinue'";
const OURS = `Get-NetFirewallRule -PolicyStore PersistentStore -Group ${quoted(GROUP)} -ErrorAction SilentlyContinue`;

/**
 * A script that replaces the agent's rules. It adds the new rules before it removes the old ones, so that
 * there is no moment without rules. `version` is included in the rule names. The script turns on all
 * profiles. With `blocksRest`, the profiles also block traffic that no rule matches.
 */
export function putScript(rules: readonly WindowsRule[], version: string, blocksRest: boolean): string {
  const commands = rules.map((rule, index) => {
    const optional = (name: string, values: readonly string[] | undefined): string =>
      values === undefined ? "" : ` -${name} ${listed(values)}`;
    const id = ruleName(version, index);
    return (
      `New-NetFirewallRule -PolicyStore PersistentStore -Name ${quoted(id)} -DisplayName ${quoted(id)}` +
      ` -Group ${quoted(GROUP)} -Enabled True -Profile Any -Direction ${rule.direction} -Action ${rule.action}` +
      ` -Protocol ${rule.protocol}` +
      optional("RemoteAddress", rule.remoteAddress) +
      optional("RemotePort", rule.remotePort) +
      optional("LocalPort", rule.localPort) +
      optional("IcmpType", rule.icmpType) +
      " | Out-Null"
    );
  });
  return script([
    STRICT,
    `${OURS} | Where-Object Name -like ${quoted(`${NAME}-${version}-*`)} | Remove-NetFirewallRule`,
    ...commands,
    `${OURS} | Where-Object Name -notlike ${quoted(`${NAME}-${version}-*`)} | Remove-NetFirewallRule`,
    "Set-NetFirewallProfile -PolicyStore PersistentStore -All -Enabled True" +
      (blocksRest ? " -DefaultInboundAction Block -DefaultOutboundAction Block" : ""),
  ]);
}

/** A script that restores the profiles and removes the agent's rules. */
export const removeScript = (profiles: readonly Profile[]): string =>
  script([
    STRICT,
    ...profiles.map(
      ({ name, enabled, inbound, outbound }) =>
        `Set-NetFirewallProfile -PolicyStore PersistentStore -Name ${name} -Enabled ${enabled}` +
        ` -DefaultInboundAction ${inbound} -DefaultOutboundAction ${outbound}`,
    ),
    `${OURS} | Remove-NetFirewallRule`,
    `if (@(${OURS}).Count -gt 0) { throw 'rules are left' }`,
  ]);

/** A script that prints the profile settings as one line of JSON, as set by the administrator. */
export const PROFILES_SCRIPT = script([
  STRICT,
  "ConvertTo-Json -Compress @(Get-NetFirewallProfile -PolicyStore PersistentStore | ForEach-Object { " +
    "[pscustomobject]@{ name=[string]$_.Name; enabled=[string]$_.Enabled; " +
    "inbound=[string]$_.DefaultInboundAction; outbound=[string]$_.DefaultOutboundAction } })",
]);

/**
 * A script that prints the agent's rules in force and the state of the profiles, including group policy (ActiveStore).
 * An empty filter is printed as `Any`.
 */
export const STANDING_SCRIPT = script([
  STRICT,
  "function texts($all) { ,@($all | ForEach-Object { [string]$_ }) }",
  "$p=@(Get-NetFirewallProfile -PolicyStore ActiveStore | Sort-Object Name | ForEach-Object { " +
    '"$($_.Name) $($_.Enabled) $($_.DefaultInboundAction) $($_.DefaultOutboundAction)" })',
  `$r=@(Get-NetFirewallRule -PolicyStore ActiveStore -Group ${quoted(GROUP)} -ErrorAction SilentlyContinue | ` +
    "Sort-Object Name | ForEach-Object { " +
    "$a=$_ | Get-NetFirewallAddressFilter; $f=$_ | Get-NetFirewallPortFilter; " +
    "$g=$_ | Get-NetFirewallApplicationFilter; $i=$_ | Get-NetFirewallInterfaceFilter; " +
    "[pscustomobject]@{ name=[string]$_.Name; enabled=[string]$_.Enabled; direction=[string]$_.Direction; " +
    "action=[string]$_.Action; profile=[string]$_.Profile; protocol=[string]$f.Protocol; " +
    "remoteAddress=(texts $a.RemoteAddress); localAddress=(texts $a.LocalAddress); " +
    "remotePort=(texts $f.RemotePort); localPort=(texts $f.LocalPort); icmpType=(texts $f.IcmpType); " +
    "program=[string]$g.Program; interface=(texts $i.InterfaceAlias) } })",
  "ConvertTo-Json -Compress -Depth 4 ([pscustomobject]@{ profiles=$p; rules=$r })",
]);

/** A rule in force, as printed by {@link STANDING_SCRIPT}. */
export type StandingRule = {
  name: string;
  enabled: string;
  direction: string;
  action: string;
  profile: string;
  protocol: string;
  remoteAddress: readonly string[];
  localAddress: readonly string[];
  remotePort: readonly string[];
  localPort: readonly string[];
  icmpType: readonly string[];
  program: string;
  interface: readonly string[];
};

/** Name of the rule at this index in {@link putScript}. */
export const ruleName = (version: string, index: number): string =>
  `${NAME}-${version}-${String(index).padStart(2, "0")}`;

const ANY = ["Any"];

/** Formats a sent rule like {@link standingText}, for comparison with a rule in force. */
export const sentText = (rule: WindowsRule, name: string): string =>
  standingText({
    name,
    enabled: "True",
    direction: rule.direction,
    action: rule.action,
    profile: "Any",
    protocol: rule.protocol,
    remoteAddress: rule.remoteAddress ?? ANY,
    localAddress: ANY,
    remotePort: rule.remotePort ?? ANY,
    localPort: rule.localPort ?? ANY,
    icmpType: rule.icmpType ?? ANY,
    program: "Any",
    interface: ANY,
  });

const PROTOCOL_NAMES: Readonly<Record<string, string>> = {
  "1": "ICMPV4",
  "6": "TCP",
  "17": "UDP",
  "58": "ICMPV6",
};

/** A normal form of a rule in force. Two rules with the same text match the same packets. */
export function standingText(rule: StandingRule): string {
  const protocol = rule.protocol.toUpperCase();
  const words = [rule.name, rule.enabled, rule.direction, rule.action, rule.profile, rule.program];
  const lists = [rule.localAddress, rule.remotePort, rule.localPort, rule.icmpType, rule.interface];
  return JSON.stringify([
    ...words.map((text) => text.toLowerCase()),
    PROTOCOL_NAMES[protocol] ?? protocol,
    rangesText(rule.remoteAddress),
    // Windows can print an ICMP type with its codes, such as `8:*`.
    ...lists.map((all) => all.map((each) => each.replace(/:(\*|Any)$/i, "")).sort()),
  ]);
}

function rangesText(addresses: readonly string[]): string[] {
  return addresses
    .map((text) => {
      const [from, to = from] = text.split("-") as [string, string?];
      try {
        return `${boundsOf(from).from}-${boundsOf(to).to}`;
      } catch {
        // Any other text is a keyword such as `Any` or `LocalSubnet`.
        return text;
      }
    })
    .sort();
}

function script(commands: readonly string[]): string {
  return `${commands.join("\n")}\n`;
}
