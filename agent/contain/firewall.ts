export type Endpoint = { address: string; port: number };

export type NetworkRules = {
  control: readonly Endpoint[];
  /** Name servers the host may ask. Empty: any, because a host that cannot resolve its control plane is lost. */
  resolvers: readonly string[];
};

/** What one system's packet filter does for us. None of it throws; a fault is a sentence an admin can act on. */
export type Firewall = {
  /** Only loopback, name servers and the control plane, in place of what was there of ours. */
  restrict: (rules: NetworkRules) => Promise<string | undefined>;
  /** Nobody connects to these ports of this host, in place of what was there of ours. */
  refusePorts: (ports: readonly number[]) => Promise<string | undefined>;
  /** Our rules as they stand: another text as soon as anybody altered them. Undefined when they are not in force. */
  standing: () => Promise<string | undefined>;
  /** Takes everything of ours away. Rules that were never put in place need no program to be gone. */
  remove: (wasInForce: boolean) => Promise<string | undefined>;
  /** Tries to connect. True only when these very rules refused every one: no route there proves nothing. */
  refuses: (endpoints: readonly Endpoint[]) => Promise<boolean>;
};
