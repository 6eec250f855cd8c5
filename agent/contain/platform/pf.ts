import { isV6, plain, plainPort, plainPrefix } from "../network/addresses.ts";
import type { Links, NetworkRules } from "../network/firewall.ts";

/**
 * An anchor below `com.apple/*`. The default ruleset of macOS (/etc/pf.conf) evaluates these anchors, so
 * /etc/pf.conf does not have to be changed. pf evaluates the anchors of a wildcard in alphabetical order, so
 * this anchor is first.
 */
export const ANCHOR = "com.apple/000.lifecyclezero";
/** The rule that evaluates {@link ANCHOR}, in the main ruleset (`pfctl -s rules`). */
const MAIN_ANCHOR = /^anchor "com\.apple\/\*" all$/m;
/** A main ruleset rule that passes packets without evaluating later rules. */
const PASSED_BEFORE = /^pass\b.*\bquick\b/;

/** The reason why the main ruleset (`pfctl -s rules`) overrides the agent's anchor. Undefined if it does not. */
export function overruledBy(main: string): string | undefined {
  const all = main.split("\n").map((line) => line.trim());
  const at = all.findIndex((line) => MAIN_ANCHOR.test(line));
  if (at < 0) return 'the main ruleset of pf no longer evaluates "com.apple/*"';
  const before = all.slice(0, at).find((line) => PASSED_BEFORE.test(line));
  return (
    before &&
    `a rule in the main ruleset of pf passes packets before the agent's rules: ${before.slice(0, 80)}`
  );
}

/** The filter rules in the output of pfctl, one per line. */
export const rulesIn = (printed: string): string[] =>
  printed
    .split("\n")
    .map((line) => line.trim().replace(/\s+/g, " "))
    .filter((line) => /^(pass|block)\b/.test(line));

/** Label of the rules that refuse packets. pf counts packets by label (`pfctl -s labels`). */
const LABEL = "lz-forbidden";

/**
 * Rules of mode `network` (pf.conf(5)). They allow loopback, name servers and the control plane. They also
 * allow link maintenance (DHCP, neighbour discovery), limited to addresses of this host's links. All other
 * traffic is refused in both directions, including forwarded traffic of virtual machines. Every rule is
 * `quick`, so that no later rule applies.
 *
 * pf cannot match the hop limit, and it cannot limit a rate without state. So the link maintenance rules are
 * limited only by address.
 *
 * Loopback rules keep no state, because all states are deleted when the rules are installed and local
 * connections must survive. A rule with state accepts only new connections, so an open connection to the
 * control plane is reset and opened again.
 */
export function pfNetworkRules({ control, resolvers, links }: NetworkRules): string {
  const rules = [
    "pass quick on lo0 all flags any no state",
    ...control.map(
      ({ address, port }) =>
        `pass out quick ${family(address)} proto tcp from any to ${plain(address)} port = ${plainPort(port)} flags S/SA keep state`,
    ),
    ...resolvers.flatMap((address) => dnsRules(family(address), plain(address))),
    ...(resolvers.length === 0 ? ["inet", "inet6"].flatMap((each) => dnsRules(each, "any")) : []),
    ...dhcpRules(links),
    ...neighbourRules(links),
    `block return out quick all label "${LABEL}"`,
    `block drop in quick all label "${LABEL}"`,
  ];
  return lines(rules);
}

const family = (address: string): "inet" | "inet6" => (isV6(address) ? "inet6" : "inet");

/**
 * Allows requests to the broadcast address, to the servers of this host's leases and to all DHCPv6 servers
 * (RFC 8415 §7.1). Also allows responses from addresses on this host's links.
 */
function dhcpRules({ prefixes, dhcpServers }: Links): string[] {
  const servers = [...new Set(dhcpServers.map(plain))].filter((address) => !isV6(address));
  const near = [...new Set(prefixes.map(plainPrefix))].filter((prefix) => !isV6(prefix));
  return [
    ...["255.255.255.255", ...servers].map(
      (to) => `pass out quick inet proto udp from any port = 68 to ${to} port = 67 no state`,
    ),
    "pass in quick inet proto udp from any port = 67 to 255.255.255.255 port = 68 no state",
    ...["169.254.0.0/16", ...near, ...servers].map(
      (from) => `pass in quick inet proto udp from ${from} port = 67 to any port = 68 no state`,
    ),
    "pass out quick inet6 proto udp from fe80::/10 port = 546 to ff02::1:2 port = 547 no state",
    "pass in quick inet6 proto udp from fe80::/10 port = 547 to fe80::/10 port = 546 no state",
  ];
}

function neighbourRules({ prefixes }: Links): string[] {
  const near = ["fe80::/10", ...new Set(prefixes.map(plainPrefix))].filter(isV6);
  const pass = (way: string, type: string): string =>
    `pass ${way.slice(0, way.indexOf(" "))} quick inet6 proto ipv6-icmp ${way.slice(way.indexOf(" ") + 1)} icmp6-type ${type} no state`;
  return [
    pass("out from any to ff02::2", "routersol"),
    ...["ff02::1:ff00:0/104", ...near].map((to) => pass(`out from any to ${to}`, "neighbrsol")),
    ...["ff02::1", ...near].map((to) => pass(`out from any to ${to}`, "neighbradv")),
    pass("in from fe80::/10 to any", "routeradv"),
    // Duplicate address detection uses the unspecified source address `::` (RFC 4862 §5.4.2).
    ...["::", ...near].map((from) => pass(`in from ${from} to any`, "neighbrsol")),
    ...near.map((from) => pass(`in from ${from} to any`, "neighbradv")),
  ];
}

const dnsRules = (family: string, to: string): string[] => [
  `pass out quick ${family} proto tcp from any to ${to} port = 53 flags S/SA keep state`,
  `pass out quick ${family} proto udp from any to ${to} port = 53 keep state`,
];

/**
 * Rules of mode `stop-engines`. They refuse connections to these ports of this host, including connections
 * over loopback.
 */
export function pfPortRules(ports: readonly number[]): string {
  const each = [...new Set(ports.map(plainPort))].sort((a, b) => a - b);
  return lines(
    each.map((port) => `block return in quick proto tcp from any to any port = ${port} label "${LABEL}"`),
  );
}

const lines = (rules: readonly string[]): string => rules.map((rule) => `${rule}\n`).join("");

/** The token in the output of `pfctl -E`. pf stays enabled until all tokens are returned (`pfctl -X`). */
export const tokenIn = (said: string): string | undefined => /^Token : (\d{1,20})$/m.exec(said)?.[1];

/** Whether the output of `pfctl -s info` says that pf is enabled. */
export const isEnabled = (info: string): boolean => /^Status: Enabled\b/m.test(info);

/**
 * Number of packets counted for {@link LABEL} in `pfctl -s labels` (columns: label, evaluations, packets,
 * bytes, …).
 */
export const labelledPackets = (labels: string): number =>
  labels
    .split("\n")
    .map((line) => line.trim().split(/\s+/))
    .filter(([label]) => label === LABEL)
    .reduce((sum, [, , packets]) => sum + (Number(packets) || 0), 0);
