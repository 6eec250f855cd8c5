import { isV6, plain, plainPort, plainPrefix } from "../network/addresses.ts";
import type { Links, NetworkRules } from "../network/firewall.ts";

/**
 * Below `anchor "com.apple/*"`, which the main ruleset of macOS evaluates as shipped (/etc/pf.conf), so that file is
 * not touched. Anchors of one wildcard are evaluated in the order of their names: ours comes first.
 */
export const ANCHOR = "com.apple/000.lifecyclezero";
/** What the main ruleset has to hold for our anchor to be evaluated at all (`pfctl -s rules`). */
export const MAIN_ANCHOR = /^anchor "com\.apple\/\*" all$/m;
/** A rule of the main ruleset that lets packets through before ours are asked. */
const PASSED_BEFORE = /^pass\b.*\bquick\b/;

/** Why the main ruleset (`pfctl -s rules`) leaves our anchor without the last word; undefined when it does not. */
export function overruledBy(main: string): string | undefined {
  const all = main.split("\n").map((line) => line.trim());
  const at = all.findIndex((line) => MAIN_ANCHOR.test(line));
  if (at < 0) return 'the main ruleset of pf does not evaluate "com.apple/*" any more';
  const before = all.slice(0, at).find((line) => PASSED_BEFORE.test(line));
  return before && `a rule of pf's main ruleset lets packets through before ours: ${before.slice(0, 80)}`;
}

/** The filter rules among what pfctl prints, one a line. */
export const rulesIn = (printed: string): string[] =>
  printed
    .split("\n")
    .map((line) => line.trim().replace(/\s+/g, " "))
    .filter((line) => /^(pass|block)\b/.test(line));

/** On the rules that refuse, so that their packets can be counted (`pfctl -s labels`). */
export const LABEL = "lz-forbidden";

/**
 * Mode `network` by pf.conf(5): loopback, name servers, the control plane, and what keeps an interface alive (DHCP,
 * neighbour discovery), bound to addresses of this host's links. All else is refused, in and out, forwarded traffic of
 * virtual machines too, for a rule without a direction sees both. Every rule is `quick`: no rule after ours has a say.
 *
 * pf matches neither the hop limit nor, without state, a rate: here the addresses are the only bound.
 *
 * Without state on loopback: states are cut when this is put in place, and local programs keep theirs. A pass with
 * state takes new connections only, so one to the control plane that was open before is reset and made anew.
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

/** Requests go to broadcast, the lease's server and the servers' group (RFC 8415 §7.1), answers come from the link. */
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
    // A host that asks whether its address is taken has none yet (RFC 4862 §5.4.2).
    ...["::", ...near].map((from) => pass(`in from ${from} to any`, "neighbrsol")),
    ...near.map((from) => pass(`in from ${from} to any`, "neighbradv")),
  ];
}

const dnsRules = (family: string, to: string): string[] => [
  `pass out quick ${family} proto tcp from any to ${to} port = 53 flags S/SA keep state`,
  `pass out quick ${family} proto udp from any to ${to} port = 53 keep state`,
];

/** Mode `stop-engines`: connections to these ports of this host are refused, on loopback too. */
export function pfPortRules(ports: readonly number[]): string {
  const each = [...new Set(ports.map(plainPort))].sort((a, b) => a - b);
  return lines(
    each.map((port) => `block return in quick proto tcp from any to any port = ${port} label "${LABEL}"`),
  );
}

const lines = (rules: readonly string[]): string => rules.map((rule) => `${rule}\n`).join("");

/** The token of `pfctl -E`: pf stays enabled until everyone who asked for it has given theirs back (`-X`). */
export const tokenIn = (said: string): string | undefined => /^Token : (\d{1,20})$/m.exec(said)?.[1];

/** From `pfctl -s info`. */
export const isEnabled = (info: string): boolean => /^Status: Enabled\b/m.test(info);

/** Packets that our labels counted (`pfctl -s labels`: label, evaluations, packets, bytes, …). */
export const labelledPackets = (labels: string): number =>
  labels
    .split("\n")
    .map((line) => line.trim().split(/\s+/))
    .filter(([label]) => label === LABEL)
    .reduce((sum, [, , packets]) => sum + (Number(packets) || 0), 0);
