export type Endpoint = { address: string; port: number };

/** The network links of this host. The firewall allows only the traffic that maintains these links. */
export type Links = {
  /** Prefixes of this host's links, such as `192.0.2.0/24`. */
  prefixes: readonly string[];
  /** DHCP servers from this host's leases. If empty, leases are renewed by broadcast only (RFC 2131 §4.4.5). */
  dhcpServers: readonly string[];
};

export type NetworkRules = {
  /** The control plane, or the proxy in front of it. */
  control: readonly Endpoint[];
  /**
   * Allowed name servers. If empty, all are allowed, because a host that cannot resolve its control plane
   * cannot be released.
   */
  resolvers: readonly string[];
  /**
   * Numeric ids of users that can query any name server while no name server is known (Linux only). If
   * absent, only root can.
   */
  resolverUsers?: readonly number[];
  links: Links;
};

/** The packet filter of one system. The methods never throw. They return a fault as a sentence for the administrator. */
export type Firewall = {
  /**
   * Allows only loopback, name servers, the control plane and link maintenance. Replaces all rules of the agent. Returns
   * a fault if the rules in force afterwards are not the rules that were sent.
   */
  restrict: (rules: NetworkRules) => Promise<string | undefined>;
  /**
   * Refuses connections to these ports of this host. Replaces all rules of the agent. Returns the same faults
   * as `restrict`.
   */
  refusePorts: (ports: readonly number[]) => Promise<string | undefined>;
  /**
   * Says how the rules in force differ from the rules sent last, as a sentence without a full stop. Undefined
   * if they are equal. The comparison uses the rules that were sent and not an earlier listing, so that it
   * also finds a rule that was added right after the installation. Returns {@link NOTHING_SENT} before any
   * rules were sent.
   */
  altered: () => Promise<string | undefined>;
  /** Removes all rules of the agent. If `wasInForce` is false, a missing firewall program is not a fault. */
  remove: (wasInForce: boolean) => Promise<string | undefined>;
  /**
   * Tries to connect. Returns true only if the agent's rules refused all attempts. A failure because of a
   * missing route does not count.
   */
  refuses: (endpoints: readonly Endpoint[]) => Promise<boolean>;
};

/** Returned by {@link Firewall.altered} if no rules were sent since the agent started. */
export const NOTHING_SENT = "no rules were sent since the agent started";
