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
 * Windows Firewall does not order rules. A matching block rule overrides all matching allow rules, and
 * traffic that no rule matches gets the default of its profile. Only an IPsec-authenticated bypass overrides
 * a block (learn.microsoft.com, "Windows Firewall rules", precedence). This has three consequences.
 *
 * A default of "block" is not enough: the hundreds of allow rules of every Windows installation would still
 * let traffic through. So the agent's rules *block* all forbidden traffic. They block all addresses except
 * those of the control plane and the name servers, and they block all ports of these addresses except the
 * needed ones.
 *
 * Protocols other than TCP, UDP and ICMP get the default of the profiles, which the agent sets to block. Each
 * tunnel protocol also gets a block rule.
 *
 * If a profile blocks outbound traffic by default, the control plane also needs an allow rule, which no block
 * rule of the agent matches.
 *
 * Windows Firewall exempts loopback, and accepts replies to allowed requests. DHCP and neighbour discovery
 * are allowed for addresses of this host's links. Rules cannot name link-local addresses, so for these
 * addresses only port and type are limited. Windows Firewall cannot match a hop limit or a rate.
 */

export const GROUP = "LifecycleZero containment";
const NAME = "lifecyclezero";

export type WindowsRule = {
  direction: "Inbound" | "Outbound";
  action: "Block" | "Allow";
  /** Protocol number, or `TCP` or `UDP` if the rule names ports. */
  protocol: string;
  remoteAddress?: readonly string[];
  remotePort?: readonly string[];
  localPort?: readonly string[];
  icmpType?: readonly string[];
};

/**
 * Unicast and multicast addresses. Leaves out loopback, which is exempt, and link-local addresses, which
 * New-NetFirewallRule rejects.
 */
const V4 = [["0.0.0.1", "255.255.255.255"]] as const;
const V6 = [
  ["::2", "fe7f:ffff:ffff:ffff:ffff:ffff:ffff:ffff"],
  ["ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"],
] as const;

/** Protocol numbers of IGMP, IP in IP, IPv6 in IPv4, GRE, ESP, AH, L2TP and SCTP. */
const OTHER_PROTOCOLS = ["2", "4", "41", "47", "50", "51", "115", "132"];
/** Inbound ICMPv4 types to block: all types except errors (3, 11, 12). Outbound ICMPv4 is blocked completely. */
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
/**
 * ICMPv6 types to block: all types except errors (1 to 4), neighbour discovery (133 to 136) and group reports
 * (130 to 132, 143).
 */
const ICMP6_BLOCKED = ["128", "129", "137", "138", "139", "140", "141", "142", "144", "145", "146", "147"];
const ICMP6_ERRORS = ["1", "2", "3", "4"];
const NEIGHBOURS = ["133", "134", "135", "136"];
const GROUP_REPORTS = ["130", "131", "132", "143"];
/** Multicast groups of all nodes, all routers, and neighbour solicitations (RFC 4291 §2.7.1). */
const NEIGHBOUR_GROUPS = ["ff02::1", "ff02::2", "ff02::1:ff00:0/104"];
/** Link-local multicast, which routers do not forward (RFC 4291 §2.7). */
const LINK_MULTICAST = "ff02::/16";
const BROADCAST = "255.255.255.255";
/** The multicast group of all DHCPv6 servers and relay agents (RFC 8415 §7.1). */
const DHCP6_SERVERS = "ff02::1:2";
const LINK_LOCAL4 = "169.254.0.0/16";
const DHCP = [67, 547];
const DHCP_CLIENT = [68, 546];

type Match = Omit<WindowsRule, "action" | "direction">;

const blockOut = (match: Match): WindowsRule => ({ direction: "Outbound", action: "Block", ...match });
const blockIn = (match: Match): WindowsRule => ({ direction: "Inbound", action: "Block", ...match });
const allowOut = (match: Match): WindowsRule => ({ direction: "Outbound", action: "Allow", ...match });

/** Rules of mode `network`. Traffic that no block rule matches is allowed. */
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

/**
 * Ports that stay open to the given addresses, or to all addresses if `addresses` is absent. The entries of a
 * list together cover every address.
 */
type Open = { addresses?: readonly string[]; ports: readonly number[] };

/**
 * Open TCP ports. While no name server is known, the DNS port is open to all addresses, because the control
 * plane's name must be resolved.
 */
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

/** All addresses except the given addresses and prefixes, as IPv4 and IPv6 ranges. */
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

/** All ports except the given ports, as ranges. */
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

/**
 * Rules of mode `stop-engines`. They refuse connections from other hosts to these ports. Windows Firewall
 * exempts loopback.
 */
export const windowsPortRules = (ports: readonly number[]): WindowsRule[] =>
  ports.length === 0
    ? []
    : (["TCP", "UDP"] as const).map((protocol) => ({
        direction: "Inbound",
        action: "Block",
        protocol,
        localPort: [...new Set(ports.map(plainPort))].sort((a, b) => a - b).map(String),
      }));

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
