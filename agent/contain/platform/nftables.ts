import { isV6, plain, plainPort, plainPrefix } from "../network/addresses.ts";
import type { Endpoint, Links, NetworkRules } from "../network/firewall.ts";

/** The agent changes only this table and {@link BRIDGE_TABLE}. Deleting these two tables removes all rules of the agent. */
export const TABLE = "inet lifecyclezero";
export const BRIDGE_TABLE = "bridge lifecyclezero";
/**
 * Counter of packets that the agent's rules refused. If a connection attempt increases the counter, these
 * rules refused the attempt.
 */
export const COUNTER = "forbidden";

/*
 * Exceptions that keep a network link up. Each exception is limited to link addresses and to a rate, so that
 * it cannot carry a useful amount of data. Rates and bursts are in packets.
 */

/**
 * 576 bytes is the longest DHCP message that a host must accept (RFC 2131 §2). A starting client sends only a
 * few messages.
 */
const DHCP_OUT = "meta length <= 576 limit rate 10/minute burst 10 packets";
/** This rate is enough for offers from several servers on several links. */
const DHCP_IN = "limit rate 60/minute burst 30 packets";
/** A solicitation has 72 bytes, or 96 with the longest link-layer address (RFC 4391) and a nonce (RFC 7527). */
const ND_OUT = "meta length <= 96 limit rate 60/minute burst 60 packets";
const ND_IN = "limit rate 20/second burst 100 packets";
/** A multicast report has 20 bytes for each group of this host (RFC 3810 §5.2). */
const MLD = "meta length <= 576 limit rate 10/minute burst 20 packets";
const ICMP_ERRORS_IN = "limit rate 10/second burst 20 packets";
/** Rate limit for name lookups while no name server is known. It is enough for all names that a host resolves. */
const NAMES_OUT = "limit rate 20/second burst 100 packets";

const BROADCAST = "255.255.255.255";
/** The multicast group of all DHCPv6 servers and relay agents (RFC 8415 §7.1). */
const DHCP6_SERVERS = "ff02::1:2";
const LINK_LOCAL4 = "169.254.0.0/16";
const LINK_LOCAL6 = "fe80::/10";
const ALL_NODES = "ff02::1";
const ALL_ROUTERS = "ff02::2";
/** Multicast groups of neighbour solicitations (RFC 4291 §2.7.1). */
const SOLICITED_NODES = "ff02::1:ff00:0/104";
/** The multicast group of all MLDv2-capable routers (RFC 3810 §5.2.14). */
const MLD2_ROUTERS = "ff02::16";

/** ICMP errors for path MTU discovery and unreachable destinations. */
const PATH_ERRORS = {
  ip: ["icmp type destination-unreachable"],
  ip6: ["icmpv6 type destination-unreachable", "icmpv6 type packet-too-big"],
} as const;

/** Matches packets that do not open a connection, including packets without connection tracking (`notrack`). */
const NOT_OPENING = "ct state established,untracked tcp flags & (syn | ack) != syn";

/**
 * Rules of mode `network`. They allow loopback, name servers, the control plane, and link maintenance (DHCP,
 * neighbour discovery, path MTU). All other traffic is dropped in both directions, including forwarded
 * traffic of containers. Connections that were already open are reset at their next packet, because no rule
 * accepts established connections in general.
 *
 * The table is replaced in one transaction (nft(8), `-f`), so there is no moment without rules. Priority -10
 * runs before ordinary filters, and a drop at this priority is final. Hooks and families: wiki.nftables.org.
 *
 * The control plane may share its address with other sites. Only root, which runs the agent, can connect to
 * it.
 *
 * The rules use no sets, because versions of nft print sets differently. The rules in force are compared with
 * the rules sent, in the notation that nft prints.
 */
export function networkRules(rules: NetworkRules): string {
  return replaceTable(`  counter ${COUNTER} { }
${limitChains}
  chain output {
    type filter hook output priority -10; policy drop;
    oif lo accept
${lines(outputRules(rules))}
    counter name ${COUNTER}
    meta l4proto tcp reject with tcp reset
    reject with icmpx type admin-prohibited
  }
  chain input {
    type filter hook input priority -10; policy drop;
    iif lo accept
${lines(inputRules(rules))}
    counter name ${COUNTER}
  }
  chain forward {
    type filter hook forward priority -10; policy drop;
    counter name ${COUNTER}
  }
`);
}

/** Chains with a rate limit. All rules that jump to a chain share its limit. */
const limitChains = Object.entries({
  dhcp_out: DHCP_OUT,
  dhcp_in: DHCP_IN,
  nd_solicit_out: ND_OUT,
  nd_advert_out: ND_OUT,
  names_out: NAMES_OUT,
  icmp_errors_in: ICMP_ERRORS_IN,
})
  .map(([name, limit]) => `  chain ${name} {\n    ${limit} accept\n  }`)
  .join("\n");

function outputRules({ control, resolvers, resolverUsers = [0], links }: NetworkRules): string[] {
  const { dhcpServers, prefixes6 } = linkAddresses(links);
  return [
    ...endpointsOf(control).map(
      ({ ip, address, port }) => `meta skuid 0 ${ip} daddr ${address} tcp dport ${port} accept`,
    ),
    ...addressesOf(resolvers).flatMap(({ ip, address }) =>
      ["tcp", "udp"].map((protocol) => `${ip} daddr ${address} ${protocol} dport 53 accept`),
    ),
    ...(resolvers.length > 0
      ? []
      : resolverUsers.flatMap((user) =>
          ["tcp", "udp"].map(
            (protocol) => `meta skuid ${plainUser(user)} ${protocol} dport 53 jump names_out`,
          ),
        )),
    ...[BROADCAST, ...dhcpServers].map((to) => `ip daddr ${to} udp sport 68 udp dport 67 jump dhcp_out`),
    `ip6 saddr ${LINK_LOCAL6} ip6 daddr ${DHCP6_SERVERS} udp sport 546 udp dport 547 jump dhcp_out`,
    `icmpv6 type nd-router-solicit ip6 hoplimit 255 ip6 daddr ${ALL_ROUTERS} jump nd_solicit_out`,
    ...[SOLICITED_NODES, LINK_LOCAL6, ...prefixes6].map(
      (to) => `icmpv6 type nd-neighbor-solicit ip6 hoplimit 255 ip6 daddr ${to} jump nd_solicit_out`,
    ),
    ...[ALL_NODES, LINK_LOCAL6, ...prefixes6].map(
      (to) => `icmpv6 type nd-neighbor-advert ip6 hoplimit 255 ip6 daddr ${to} jump nd_advert_out`,
    ),
    `icmpv6 type mld2-listener-report ip6 hoplimit 1 ip6 daddr ${MLD2_ROUTERS} ${MLD} accept`,
  ];
}

function inputRules({ control, resolvers, links }: NetworkRules): string[] {
  const { dhcpServers, prefixes4 } = linkAddresses(links);
  return [
    ...endpointsOf(control).map(
      ({ ip, address, port }) => `${ip} saddr ${address} tcp sport ${port} ${NOT_OPENING} accept`,
    ),
    ...addressesOf(resolvers).flatMap(({ ip, address }) => [
      `${ip} saddr ${address} tcp sport 53 ${NOT_OPENING} accept`,
      `${ip} saddr ${address} udp sport 53 ct state established,untracked accept`,
    ]),
    ...(resolvers.length > 0
      ? []
      : ["tcp", "udp"].map((protocol) => `ct state established ${protocol} sport 53 accept`)),
    ...addressesOf([...control.map(({ address }) => address), ...resolvers]).flatMap(({ ip, address }) =>
      PATH_ERRORS[ip].map(
        (error) => `ct state related ct original ${ip} daddr ${address} ${error} jump icmp_errors_in`,
      ),
    ),
    `ip daddr ${BROADCAST} udp sport 67 udp dport 68 jump dhcp_in`,
    ...[LINK_LOCAL4, ...prefixes4, ...dhcpServers].map(
      (from) => `ip saddr ${from} udp sport 67 udp dport 68 jump dhcp_in`,
    ),
    `ip6 saddr ${LINK_LOCAL6} ip6 daddr ${LINK_LOCAL6} udp sport 547 udp dport 546 jump dhcp_in`,
    ...["nd-router-advert", "nd-neighbor-solicit", "nd-neighbor-advert"].map(
      // A hop limit of 255 proves that the packet was sent on this link, because a router would have lowered
      // it (RFC 4861 §11.2).
      (type) => `icmpv6 type ${type} ip6 hoplimit 255 ${ND_IN} accept`,
    ),
    `icmpv6 type mld-listener-query ip6 hoplimit 1 ip6 saddr ${LINK_LOCAL6} ${MLD} accept`,
  ];
}

function linkAddresses({ prefixes, dhcpServers }: Links) {
  const unique = [...new Set(prefixes.map(plainPrefix))].sort();
  return {
    prefixes4: unique.filter((prefix) => !isV6(prefix)),
    prefixes6: unique.filter(isV6),
    dhcpServers: [...new Set(dhcpServers.map(plain))].filter((address) => !isV6(address)).sort(),
  };
}

const familyOf = (address: string): "ip" | "ip6" => (isV6(address) ? "ip6" : "ip");

const addressesOf = (addresses: readonly string[]) =>
  [...new Set(addresses.map(plain))].sort().map((address) => ({ ip: familyOf(address), address }));

function endpointsOf(endpoints: readonly Endpoint[]) {
  const unique = new Map(
    endpoints.map(({ address, port }) => [`${plain(address)} ${plainPort(port)}`, { address, port }]),
  );
  return [...unique]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, { address, port }]) => ({ ip: familyOf(address), address, port }));
}

function plainUser(user: number): number {
  if (Number.isInteger(user) && user >= 0 && user < 2 ** 32) return user;
  throw new Error("cannot write a rule: not a valid user");
}

const lines = (rules: readonly string[]): string => rules.map((rule) => `    ${rule}`).join("\n");

/**
 * Rules of mode `stop-engines`. They refuse new and open connections to the ports of stopped engines, from
 * this host and from other hosts. They match only packets to the engine, and not replies that happen to have
 * the same port number.
 */
export function portRules(ports: readonly number[]): string {
  const each = [...new Set(ports.map(plainPort))].sort((a, b) => a - b);
  const refusals = each.map(
    (port) => `ct direction original tcp dport ${port} counter name ${COUNTER} reject with tcp reset`,
  );
  const chain = (hook: string): string => `  chain ${hook} {
    type filter hook ${hook} priority -10; policy accept;
${lines(refusals)}
  }`;
  return replaceTable(`  counter ${COUNTER} { }
${chain("input")}
${chain("forward")}
`);
}

/**
 * Rules of mode `network` for bridges. Without br_netfilter, IP rules do not apply to bridged traffic. These
 * rules block virtual machines and containers on a bridge. They do not affect the host's own packets, which
 * are not forwarded.
 */
export const bridgeRules = `table ${BRIDGE_TABLE}
delete table ${BRIDGE_TABLE}
table ${BRIDGE_TABLE} {
  chain forward {
    type filter hook forward priority -10; policy drop;
  }
}
`;

/** This command fails if the table does not exist. */
export const removeBridgeTable = `delete table ${BRIDGE_TABLE}\n`;

/** This command succeeds even if the table does not exist. */
export const removeTable = `table ${TABLE}\ndelete table ${TABLE}\n`;

/** Replaces the table in one transaction. `table` creates a missing table, so that `delete` always succeeds. */
const replaceTable = (body: string): string => `${removeTable}table ${TABLE} {\n${body}}\n`;

/**
 * Packet count of {@link COUNTER} in the output of `nft -j list counter …`. Undefined if the output cannot be
 * parsed.
 */
export function packetsIn(json: string): number | undefined {
  try {
    const { nftables } = JSON.parse(json) as { nftables: { counter?: { packets?: unknown } }[] };
    const packets = nftables.find(({ counter }) => counter)?.counter?.packets;
    return typeof packets === "number" ? packets : undefined;
  } catch {
    return undefined;
  }
}
