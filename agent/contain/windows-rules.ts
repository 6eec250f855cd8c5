import { isLoopback, isV6, plain, plainPort, rangesWithout } from "./addresses.ts";
import type { NetworkRules } from "./firewall.ts";

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
 * Loopback is exempt from Windows Firewall. Replies to what was let out are let in, DHCP and neighbour discovery are
 * left alone by protocol, port and type.
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
/** Echo, and what no host needs: neighbour discovery (133 to 137), too big (2) and the other errors stay. */
const ICMP4_BLOCKED = ["8", "13", "15", "17"];
const ICMP6_BLOCKED = ["128", "138", "139", "144", "145"];
const DHCP = [67, 547];
const DHCP_CLIENT = [68, 546];

type Match = Omit<WindowsRule, "action" | "direction">;

const blockOut = (match: Match): WindowsRule => ({ direction: "Outbound", action: "Block", ...match });
const blockIn = (match: Match): WindowsRule => ({ direction: "Inbound", action: "Block", ...match });
const allowOut = (match: Match): WindowsRule => ({ direction: "Outbound", action: "Allow", ...match });

/** Mode `network`, as rules. What is allowed is what none of the block rules matches. */
export function windowsNetworkRules({ control, resolvers }: NetworkRules): WindowsRule[] {
  const servers = [...new Set(control.map(({ address }) => plain(address)))];
  const ports = [...new Set(control.map(({ port }) => plainPort(port)))];
  const names = [...new Set(resolvers.map(plain))].filter((address) => !isLoopback(address));
  const toNames = { remotePort: ["53"], ...(names.length > 0 && { remoteAddress: names }) };
  return [
    ...openTcp(servers, ports, names).flatMap((open) => blockAround("TCP", open)),
    ...openUdp(names).flatMap((open) => blockAround("UDP", open)),
    ...ICMP_AND_OTHERS.map(blockOut),
    blockIn({ protocol: "TCP" }),
    blockIn({ protocol: "UDP", localPort: portsWithout(DHCP_CLIENT) }),
    ...ICMP_AND_OTHERS.map(blockIn),
    allowOut({ protocol: "TCP", remoteAddress: servers, remotePort: ports.map(String) }),
    allowOut({ protocol: "TCP", ...toNames }),
    allowOut({ protocol: "UDP", ...toNames }),
    allowOut({ protocol: "UDP", localPort: DHCP_CLIENT.map(String), remotePort: DHCP.map(String) }),
  ];
}

const ICMP_AND_OTHERS: readonly Match[] = [
  { protocol: "1", icmpType: ICMP4_BLOCKED },
  { protocol: "58", icmpType: ICMP6_BLOCKED },
  ...OTHER_PROTOCOLS.map((protocol) => ({ protocol })),
];

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

const openUdp = (names: readonly string[]): Open[] =>
  names.length === 0
    ? [{ ports: [53, ...DHCP] }]
    : [
        { addresses: allBut(names), ports: DHCP },
        { addresses: names, ports: [53, ...DHCP] },
      ];

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

/** Every address but these, as ranges of both families. */
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
    const id = `${NAME}-${version}-${String(index).padStart(2, "0")}`;
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
 * profiles are on. Another text when anybody altered a rule or a profile, or when a policy overrules them.
 */
export const STANDING_SCRIPT = script([
  STRICT,
  "$p=@(Get-NetFirewallProfile -PolicyStore ActiveStore | Sort-Object Name | ForEach-Object { " +
    '"$($_.Name) $($_.Enabled) $($_.DefaultInboundAction) $($_.DefaultOutboundAction)" })',
  `$r=@(Get-NetFirewallRule -PolicyStore ActiveStore -Group ${quoted(GROUP)} -ErrorAction SilentlyContinue | ` +
    "Sort-Object Name | ForEach-Object { " +
    "$a=$_ | Get-NetFirewallAddressFilter; $f=$_ | Get-NetFirewallPortFilter; " +
    '"$($_.Name) $($_.Enabled) $($_.Direction) $($_.Action) $($f.Protocol) $($a.RemoteAddress) ' +
    '$($f.RemotePort) $($f.LocalPort) $($f.IcmpType)" })',
  "ConvertTo-Json -Compress ([pscustomobject]@{ profiles=$p; rules=$r })",
]);

function script(commands: readonly string[]): string {
  return `${commands.join("\n")}\n`;
}
