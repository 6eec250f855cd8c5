import { isLoopback, isV6, plain, plainPort, plainPrefix, rangesWithout } from "../network/addresses.ts";
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
