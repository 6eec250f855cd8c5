import {
  boundsOf,
  isLoopback,
  isV6,
  plain,
  plainPort,
  plainPrefix,
  rangesWithout,
} from "../network/addresses.ts";
import type { NetworkRules } from "../network/firewall.ts";

/*
 * Windows Firewall knows no order of rules: a block rule that matches wins over every allow rule that matches, whoever
 * made it, and what no rule matches gets the default of its profile. (learn.microsoft.com, "Windows Firewall rules",
 * precedence; only an IPsec-authenticated bypass goes before a block.) Hence:
 *
 * - A default of "block" with allow rules of ours would be a hole for every allow rule of anybody else, and there are
 *   hundreds on every Windows. So what is forbidden is *blocked* by rules of ours: all addresses but those of the
 *   control plane and the name servers, and on those all ports but theirs.
 * - What no rule can name (protocols but TCP, UDP and ICMP) is left to the profiles' default, which is set to block,
 *   and to a block each for the protocols that tunnel.
 * - Where the default of a profile blocks outbound, the control plane needs an allow rule too, which no block of ours
 *   matches.
 *
 * Loopback is exempt from Windows Firewall. Replies to what was let out are let in. DHCP and neighbour discovery are
 * left alone towards addresses of this host's links; link-local addresses no rule can name, so there the port and the
 * type are the only bound. Windows Firewall knows no hop limit and no rate.
 */

export const GROUP = "LifecycleZero containment";
const NAME = "lifecyclezero";

export type WindowsRule = {
  direction: "Inbound" | "Outbound";
  action: "Block" | "Allow";
  /** A number, or TCP or UDP where ports are named. */
  protocol: string;
  remoteAddress?: readonly string[];
  remotePort?: readonly string[];
  localPort?: readonly string[];
  icmpType?: readonly string[];
};

/** Unicast and multicast. Loopback is exempt anyhow, and link-local addresses New-NetFirewallRule does not take. */
const V4 = [["0.0.0.1", "255.255.255.255"]] as const;
const V6 = [
  ["::2", "fe7f:ffff:ffff:ffff:ffff:ffff:ffff:ffff"],
  ["ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"],
] as const;

/** IGMP, IP in IP, IPv6 in IPv4, GRE, ESP, AH, L2TP, SCTP. */
const OTHER_PROTOCOLS = ["2", "4", "41", "47", "50", "51", "115", "132"];
/** An isolated host has no ICMP to send: in IPv4 none at all. Errors (3, 11, 12) may come in. */
const ICMP4_IN_BLOCKED = [
  "0",
  "4",
  "5",
  "8",
  "9",
  "10",
  "13",
  "14",
  "15",
  "16",
  "17",
  "18",
  "30",
  "40",
  "42",
  "43",
];
/** All but errors (1 to 4, inbound), neighbour discovery (133 to 136) and reports of groups (130 to 132, 143). */
const ICMP6_BLOCKED = ["128", "129", "137", "138", "139", "140", "141", "142", "144", "145", "146", "147"];
const ICMP6_ERRORS = ["1", "2", "3", "4"];
const NEIGHBOURS = ["133", "134", "135", "136"];
const GROUP_REPORTS = ["130", "131", "132", "143"];
/** All nodes, all routers, and the groups that neighbour solicitations go to (RFC 4291 §2.7.1). */
const NEIGHBOUR_GROUPS = ["ff02::1", "ff02::2", "ff02::1:ff00:0/104"];
/** Multicast that no router forwards (RFC 4291 §2.7). */
const LINK_MULTICAST = "ff02::/16";
const BROADCAST = "255.255.255.255";
/** RFC 8415 §7.1. */
const DHCP6_SERVERS = "ff02::1:2";
const LINK_LOCAL4 = "169.254.0.0/16";
const DHCP = [67, 547];
const DHCP_CLIENT = [68, 546];

type Match = Omit<WindowsRule, "action" | "direction">;

const blockOut = (match: Match): WindowsRule => ({ direction: "Outbound", action: "Block", ...match });
const blockIn = (match: Match): WindowsRule => ({ direction: "Inbound", action: "Block", ...match });
const allowOut = (match: Match): WindowsRule => ({ direction: "Outbound", action: "Allow", ...match });

/** Mode `network`, as rules. What is allowed is what none of the block rules matches. */
export function windowsNetworkRules({ control, resolvers, links }: NetworkRules): WindowsRule[] {
  const servers = [...new Set(control.map(({ address }) => plain(address)))];
  const ports = [...new Set(control.map(({ port }) => plainPort(port)))];
  const names = [...new Set(resolvers.map(plain))].filter((address) => !isLoopback(address));
  const toNames = { remotePort: ["53"], ...(names.length > 0 && { remoteAddress: names }) };
  const leased = [BROADCAST, DHCP6_SERVERS, ...new Set(links.dhcpServers.map(plain))];
  const near = [...new Set(links.prefixes.map(plainPrefix))];
  const answering = [...near.filter((prefix) => !isV6(prefix)), ...links.dhcpServers, LINK_LOCAL4];
  return [
    ...openTcp(servers, ports, names).flatMap((open) => blockAround("TCP", open)),
    ...openUdp(names, leased).flatMap((open) => blockAround("UDP", open)),
    ...icmpRules(near),
    ...OTHER_PROTOCOLS.flatMap((protocol) => [blockOut({ protocol }), blockIn({ protocol })]),
    blockIn({ protocol: "TCP" }),
    blockIn({ protocol: "UDP", localPort: portsWithout(DHCP_CLIENT) }),
    blockIn({ protocol: "UDP", localPort: DHCP_CLIENT.map(String), remoteAddress: allBut(answering) }),
    allowOut({ protocol: "TCP", remoteAddress: servers, remotePort: ports.map(String) }),
    allowOut({ protocol: "TCP", ...toNames }),
    allowOut({ protocol: "UDP", ...toNames }),
    allowOut({
      protocol: "UDP",
      localPort: DHCP_CLIENT.map(String),
      remotePort: DHCP.map(String),
      remoteAddress: leased,
    }),
  ];
}

function icmpRules(prefixes: readonly string[]): WindowsRule[] {
  const near = prefixes.filter(isV6);
  const farFrom = (exceptions: readonly string[]): string[] => allBut(exceptions).filter(isV6);
  const v6 = (icmpType: readonly string[], near6?: readonly string[]): Match => ({
    protocol: "58",
    icmpType,
    ...(near6 && { remoteAddress: farFrom(near6) }),
  });
  return [
    blockOut({ protocol: "1" }),
    blockIn({ protocol: "1", icmpType: ICMP4_IN_BLOCKED }),
    blockOut(v6([...ICMP6_ERRORS, ...ICMP6_BLOCKED])),
    blockOut(v6(NEIGHBOURS, [...NEIGHBOUR_GROUPS, ...near])),
    blockOut(v6(GROUP_REPORTS, [LINK_MULTICAST])),
    blockIn(v6(ICMP6_BLOCKED)),
    blockIn(v6(NEIGHBOURS, near)),
    blockIn(v6(GROUP_REPORTS, [])),
  ];
}

/** Ports that stay open at some addresses; without addresses at all of them. Together they name every address. */
type Open = { addresses?: readonly string[]; ports: readonly number[] };

/** While no name server is known, any may be asked: a host that cannot resolve its control plane is lost. */
function openTcp(servers: readonly string[], ports: readonly number[], names: readonly string[]): Open[] {
  if (names.length === 0) {
    return [
      { addresses: allBut(servers), ports: [53] },
      { addresses: servers, ports: [...ports, 53] },
    ];
  }
  return [
    { addresses: allBut([...servers, ...names]), ports: [] },
    { addresses: servers.filter((each) => !names.includes(each)), ports },
    { addresses: servers.filter((each) => names.includes(each)), ports: [...ports, 53] },
    { addresses: names.filter((each) => !servers.includes(each)), ports: [53] },
  ];
}

function openUdp(names: readonly string[], leased: readonly string[]): Open[] {
  const elsewhere = names.length === 0 ? [53] : [];
  return [
    { addresses: allBut([...leased, ...names]), ports: elsewhere },
    { addresses: leased.filter((each) => !names.includes(each)), ports: [...elsewhere, ...DHCP] },
    { addresses: leased.filter((each) => names.includes(each)), ports: [53, ...DHCP] },
    { addresses: names.filter((each) => !leased.includes(each)), ports: [53] },
  ];
}

function blockAround(protocol: "TCP" | "UDP", { addresses, ports }: Open): WindowsRule[] {
  if (addresses?.length === 0) return [];
  return [
    blockOut({
      protocol,
      ...(addresses && { remoteAddress: addresses }),
      ...(ports.length > 0 && { remotePort: portsWithout(ports) }),
    }),
  ];
}

/** Every address but these addresses and prefixes, as ranges of both families. */
const allBut = (addresses: readonly string[]): string[] => [
  ...V4.flatMap(([from, to]) =>
    rangesWithout(
      from,
      to,
      addresses.filter((each) => !isV6(each)),
      false,
    ),
  ),
  ...V6.flatMap(([from, to]) => rangesWithout(from, to, addresses.filter(isV6), true)),
];

/** Every port but these, as ranges. */
export function portsWithout(ports: readonly number[]): string[] {
  const holes = [...new Set(ports)].sort((a, b) => a - b);
  const ranges: string[] = [];
  let next = 0;
  for (const hole of [...holes, 65_536]) {
    if (hole - 1 > next) ranges.push(`${next}-${hole - 1}`);
    else if (hole - 1 === next) ranges.push(String(next));
    next = hole + 1;
  }
  return ranges;
}

/** Mode `stop-engines`: these ports of this host take no connection from others; loopback is exempt, see above. */
export const windowsPortRules = (ports: readonly number[]): WindowsRule[] =>
  ports.length === 0
    ? []
    : (["TCP", "UDP"] as const).map((protocol) => ({
        direction: "Inbound",
        action: "Block",
        protocol,
        localPort: [...new Set(ports.map(plainPort))].sort((a, b) => a - b).map(String),
      }));

/** A profile as it was before us: restored to the letter. */
export type Profile = {
  name: "Domain" | "Private" | "Public";
  enabled: "True" | "False" | "NotConfigured";
  inbound: "Allow" | "Block" | "NotConfigured";
  outbound: "Allow" | "Block" | "NotConfigured";
};

/** Single quotes keep PowerShell from reading anything in a text; one inside is doubled. */
export const quoted = (text: string): string => `'${text.replaceAll(/['\u2018-\u201b]/g, "$&$&")}'`;

const listed = (texts: readonly string[]): string => `@(${texts.map(quoted).join(",")})`;

/** Fails on the first fault, in a language that does not depend on Windows'. */
const STRICT = "$ErrorActionPreference='Stop'; $ProgressPreference='SilentlyContinue'";
const OURS = `Get-NetFirewallRule -PolicyStore PersistentStore -Group ${quoted(GROUP)} -ErrorAction SilentlyContinue`;

/**
 * Puts these rules in place of ours, new ones first: in between both block, and never is there less. `version` is
 * part of their names. With `blocksRest` every profile is on, and blocks what no rule names.
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

/** Takes our rules away, and sets the profiles to what they were. */
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

/** The profiles as the administrator of this host set them: one JSON line. */
export const PROFILES_SCRIPT = script([
  STRICT,
  "ConvertTo-Json -Compress @(Get-NetFirewallProfile -PolicyStore PersistentStore | ForEach-Object { " +
    "[pscustomobject]@{ name=[string]$_.Name; enabled=[string]$_.Enabled; " +
    "inbound=[string]$_.DefaultInboundAction; outbound=[string]$_.DefaultOutboundAction } })",
]);

/**
 * What is in force of ours, group policy included (ActiveStore): the rules with what they match, and whether the
 * profiles are on. A filter that says nothing says `Any`.
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

/** A rule as {@link STANDING_SCRIPT} reports it. */
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

/** Name of the rule at this place of the list that {@link putScript} puts. */
export const ruleName = (version: string, index: number): string =>
  `${NAME}-${version}-${String(index).padStart(2, "0")}`;

const ANY = ["Any"];

/** A rule as it was sent, in the one notation that {@link standingText} also gives to a rule in force. */
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

/** Windows writes addresses, protocols and lists its own way: two rules with one text match the same packets. */
export function standingText(rule: StandingRule): string {
  const protocol = rule.protocol.toUpperCase();
  const words = [rule.name, rule.enabled, rule.direction, rule.action, rule.profile, rule.program];
  const lists = [rule.localAddress, rule.remotePort, rule.localPort, rule.icmpType, rule.interface];
  return JSON.stringify([
    ...words.map((text) => text.toLowerCase()),
    PROTOCOL_NAMES[protocol] ?? protocol,
    rangesText(rule.remoteAddress),
    // An ICMP type may be shown with its codes, `8:*`.
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
        // A word such as `Any` or `LocalSubnet`.
        return text;
      }
    })
    .sort();
}

function script(commands: readonly string[]): string {
  return `${commands.join("\n")}\n`;
}
