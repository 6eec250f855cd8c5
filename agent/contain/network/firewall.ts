export type Endpoint = { address: string; port: number };

/** What the firewall has to know of the links of this host to keep them alive, and no more open than that. */
export type Links = {
  /** Prefixes on this host's own links, such as `192.0.2.0/24`. */
  prefixes: readonly string[];
  /** Servers of the DHCP leases that this host holds. Empty: renewals go to broadcast only (RFC 2131 §4.4.5). */
  dhcpServers: readonly string[];
};

export type NetworkRules = {
  /** The control plane, or the proxy that the agent reaches it through. */
  control: readonly Endpoint[];
  /** Name servers the host may ask. Empty: any, because a host that cannot resolve its control plane is lost. */
  resolvers: readonly string[];
  /** Numeric users that may ask any name server while none is known (Linux only). Absent: root. */
  resolverUsers?: readonly number[];
  links: Links;
};

/** What one system's packet filter does for us. None of it throws; a fault is a sentence an admin can act on. */
export type Firewall = {
  /**
   * Only loopback, name servers and the control plane, in place of what was there of ours. Fails when the rules in
   * force afterwards are not the rules that were sent.
   */
  restrict: (rules: NetworkRules) => Promise<string | undefined>;
  /** Nobody connects to these ports of this host, in place of what was there of ours. Fails as `restrict` does. */
  refusePorts: (ports: readonly number[]) => Promise<string | undefined>;
  /**
   * How the rules in force differ from the rules sent last, as a sentence without its full stop. Undefined when they
   * are the same. The comparison is with what was sent, never with an earlier reading: a rule that somebody slips in
   * right after the rules were put is a difference too. Before anything was sent, everything differs.
   */
  altered: () => Promise<string | undefined>;
  /** Takes everything of ours away. Rules that were never put in place need no program to be gone. */
  remove: (wasInForce: boolean) => Promise<string | undefined>;
  /** Tries to connect. True only when these very rules refused every one: no route there proves nothing. */
  refuses: (endpoints: readonly Endpoint[]) => Promise<boolean>;
};

/** What {@link Firewall.altered} says before anything was sent since the agent started. */
export const NOTHING_SENT = "no rules were sent since the agent started";
