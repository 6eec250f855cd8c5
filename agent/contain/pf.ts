import { isV6, plain, plainPort } from "./addresses.ts";
import type { NetworkRules } from "./firewall.ts";

/**
 * Below `anchor "com.apple/*"`, which the main ruleset of macOS evaluates as shipped (/etc/pf.conf), so that file is
 * not touched. Anchors of one wildcard are evaluated in the order of their names: ours comes first.
 */
export const ANCHOR = "com.apple/000.lifecyclezero";
/** What the main ruleset has to hold for our anchor to be evaluated at all (`pfctl -s rules`). */
export const MAIN_ANCHOR = /^anchor "com\.apple\/\*" all$/m;
/** On the rules that refuse, so that their packets can be counted (`pfctl -s labels`). */
export const LABEL = "lz-forbidden";

/**
 * Mode `network` by pf.conf(5): loopback, name servers, the control plane, and what keeps an interface alive (DHCP,
 * neighbour discovery). All else is refused, in and out, forwarded traffic of virtual machines too, for a rule
 * without a direction sees both. Every rule is `quick`: no rule after ours has a say.
 *
 * Without state on loopback: states are cut when this is put in place, and local programs keep theirs. A pass with
 * state takes new connections only, so one to the control plane that was open before is reset and made anew.
 */
export function pfNetworkRules({ control, resolvers }: NetworkRules): string {
  const family = (address: string): string => (isV6(address) ? "inet6" : "inet");
  const rules = [
    "pass quick on lo0 all flags any no state",
    ...control.map(
      ({ address, port }) =>
        `pass out quick ${family(address)} proto tcp from any to ${plain(address)} port = ${plainPort(port)} flags S/SA keep state`,
    ),
    ...resolvers.flatMap((address) => dnsRules(family(address), plain(address))),
    ...(resolvers.length === 0 ? ["inet", "inet6"].flatMap((each) => dnsRules(each, "any")) : []),
    "pass out quick inet proto udp from any port = 68 to any port = 67 no state",
    "pass in quick inet proto udp from any port = 67 to any port = 68 no state",
    "pass out quick inet6 proto udp from any port = 546 to any port = 547 no state",
    "pass in quick inet6 proto udp from any port = 547 to any port = 546 no state",
    ...["routersol", "neighbrsol", "neighbradv"].map(
      (type) => `pass out quick inet6 proto ipv6-icmp all icmp6-type ${type} no state`,
    ),
    ...["routeradv", "neighbrsol", "neighbradv"].map(
      (type) => `pass in quick inet6 proto ipv6-icmp all icmp6-type ${type} no state`,
    ),
    `block return out quick all label "${LABEL}"`,
    `block drop in quick all label "${LABEL}"`,
  ];
  return lines(rules);
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
