import { isV6, plain, plainPort } from "./addresses.ts";
import type { Endpoint, NetworkRules } from "./firewall.ts";

/** With {@link BRIDGE_TABLE} all that this agent touches: removing them removes every trace. */
export const TABLE = "inet lifecyclezero";
export const BRIDGE_TABLE = "bridge lifecyclezero";
/** Counts what the rules refused: a probe that moved it was stopped by us and by nobody else. */
export const COUNTER = "forbidden";

/**
 * Mode `network`: loopback, name servers, the control plane, and what keeps an interface alive (DHCP, neighbour
 * discovery, path MTU). All else is dropped, both directions, forwarded traffic of containers too. Flows that
 * were open before get a reset with their next packet. There is no rule for established flows as such.
 *
 * The table is replaced in one transaction (nft(8), `-f`): there is no moment without rules. Priority -10 lies
 * before ordinary filters; a drop here is final whatever they accept. Hooks and families: wiki.nftables.org.
 *
 * The control plane may share its address with other sites, so only root, as which the agent runs, reaches it.
 */
export function networkRules({ control, resolvers }: NetworkRules): string {
  return replaceTable(`  counter ${COUNTER} { }
${endpointSet(
  "control4",
  "ipv4_addr",
  control.filter(({ address }) => !isV6(address)),
)}
${endpointSet(
  "control6",
  "ipv6_addr",
  control.filter(({ address }) => isV6(address)),
)}
${addressSet(
  "resolver4",
  "ipv4_addr",
  resolvers.filter((address) => !isV6(address)),
)}
${addressSet("resolver6", "ipv6_addr", resolvers.filter(isV6))}
  chain output {
    type filter hook output priority -10; policy drop;
    oif lo accept
    meta skuid 0 ip daddr . tcp dport @control4 accept
    meta skuid 0 ip6 daddr . tcp dport @control6 accept
${resolverRules(resolvers, "daddr", "dport")}
    udp sport 68 udp dport 67 accept
    udp sport 546 udp dport 547 accept
    icmpv6 type { nd-router-solicit, nd-neighbor-solicit, nd-neighbor-advert, mld2-listener-report } accept
    counter name ${COUNTER}
    meta l4proto tcp reject with tcp reset
    reject with icmpx type admin-prohibited
  }
  chain input {
    type filter hook input priority -10; policy drop;
    iif lo accept
    ct state established ip saddr . tcp sport @control4 accept
    ct state established ip6 saddr . tcp sport @control6 accept
${resolverRules(resolvers, "saddr", "sport", "ct state established ")}
    ct state related meta l4proto { icmp, ipv6-icmp } accept
    udp sport 67 udp dport 68 accept
    udp sport 547 udp dport 546 accept
    icmpv6 type { nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert, mld-listener-query } accept
    counter name ${COUNTER}
  }
  chain forward {
    type filter hook forward priority -10; policy drop;
    counter name ${COUNTER}
  }
`);
}

function resolverRules(resolvers: readonly string[], address: string, port: string, condition = ""): string {
  const ports = `meta l4proto { tcp, udp } th ${port} 53 accept`;
  if (resolvers.length === 0) return `    ${condition}${ports}`;
  return [`ip ${address} @resolver4`, `ip6 ${address} @resolver6`]
    .map((match) => `    ${condition}${match} ${ports}`)
    .join("\n");
}

/**
 * Mode `stop-engines`: new and open connections to the ports of stopped engines are refused, from this host
 * and from others. Only packets towards the engine match, so that a port number cannot hit a reply.
 */
export function portRules(ports: readonly number[]): string {
  const elements =
    ports.length > 0
      ? ` elements = { ${[...new Set(ports.map(plainPort))].sort((a, b) => a - b).join(", ")} }`
      : "";
  const chain = (hook: string): string => `  chain ${hook} {
    type filter hook ${hook} priority -10; policy accept;
    ct direction original tcp dport @ports counter name ${COUNTER} reject with tcp reset
  }`;
  return replaceTable(`  counter ${COUNTER} { }
  set ports { type inet_service;${elements} }
${chain("input")}
${chain("forward")}
`);
}

/**
 * Mode `network` too: what a bridge of this host forwards passes no rule for IP, unless br_netfilter is loaded. Guests
 * and containers on it are cut off as those are that the host routes for. What the host itself sends is not forwarded.
 */
export const bridgeRules = `table ${BRIDGE_TABLE}
delete table ${BRIDGE_TABLE}
table ${BRIDGE_TABLE} {
  chain forward {
    type filter hook forward priority -10; policy drop;
  }
}
`;

/** Fails where the table is not there. */
export const removeBridgeTable = `delete table ${BRIDGE_TABLE}\n`;

/** Succeeds whether the table is there or not. */
export const removeTable = `table ${TABLE}\ndelete table ${TABLE}\n`;

/** `table` makes it if it is missing, so that `delete` cannot fail; both and the rules are one transaction. */
const replaceTable = (body: string): string => `${removeTable}table ${TABLE} {\n${body}}\n`;

function endpointSet(name: string, type: string, endpoints: readonly Endpoint[]): string {
  const elements = endpoints.map(({ address, port }) => `${plain(address)} . ${plainPort(port)}`).sort();
  return set(name, `${type} . inet_service`, elements);
}

const addressSet = (name: string, type: string, addresses: readonly string[]): string =>
  set(name, type, addresses.map(plain).sort());

const set = (name: string, type: string, elements: readonly string[]): string =>
  `  set ${name} { type ${type};${elements.length > 0 ? ` elements = { ${[...new Set(elements)].join(", ")} }` : ""} }`;

/** Packets counted by {@link COUNTER}, from `nft -j list counter …`; undefined when there is no such answer. */
export function packetsIn(json: string): number | undefined {
  try {
    const { nftables } = JSON.parse(json) as { nftables: { counter?: { packets?: unknown } }[] };
    const packets = nftables.find(({ counter }) => counter)?.counter?.packets;
    return typeof packets === "number" ? packets : undefined;
  } catch {
    return undefined;
  }
}
