export type Endpoint = { address: string; port: number };

/** The links of this host: the firewall allows only the traffic that keeps them up. */
export type Links = {
  /** Prefixes of this host's links, such as `192.0.2.0/24`. */
  prefixes: readonly string[];
  /** DHCP servers of this host's leases. Empty: leases are renewed by broadcast only (RFC 2131 §4.4.5). */
  dhcpServers: readonly string[];
};

export type NetworkRules = {
  /** The control plane, or the proxy in front of it. */
  control: readonly Endpoint[];
  /** Allowed name servers. Empty: any, because a host that cannot resolve its control plane cannot be released. */
  resolvers: readonly string[];
  /** Numeric users that may query any name server while none is known (Linux only). Absent: root. */
  resolverUsers?: readonly number[];
  links: Links;
};

/** The packet filter of one system. The methods return a fault as a sentence for the administrator; they do not throw. */
export type Firewall = {
  /**
   * Allows only loopback, name servers, the control plane and link maintenance. Replaces all rules of the agent. Returns
   * a fault if the rules in force afterwards are not the rules that were sent.
   */
  restrict: (rules: NetworkRules) => Promise<string | undefined>;
  /** Refuses connections to these ports of this host. Replaces all rules of the agent. Fails as `restrict` does. */
  refusePorts: (ports: readonly number[]) => Promise<string | undefined>;
  /**
   * How the rules in force differ from the rules sent last, as a sentence without a full stop; undefined if they are
   * equal. Compares with the rules that were sent and not with an earlier listing, so that a rule added right after they
   * were installed is found. Returns {@link NOTHING_SENT} before any rules were sent.
   */
  altered: () => Promise<string | undefined>;
  /** Removes all rules of the agent. @param wasInForce false: a missing firewall program is not a fault */
  remove: (wasInForce: boolean) => Promise<string | undefined>;
  /** Tries to connect. True only if the agent's rules refused all attempts: a missing route proves nothing. */
  refuses: (endpoints: readonly Endpoint[]) => Promise<boolean>;
};

/** Returned by {@link Firewall.altered} if no rules were sent since the agent started. */
export const NOTHING_SENT = "no rules were sent since the agent started";
