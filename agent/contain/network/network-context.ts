import type { Log } from "../../platform/log.ts";
import type { Proof, ReachControlPlane } from "../modes/enforcer.ts";
import { isPlainAddress } from "./addresses.ts";
import { ADDRESSES_MAX, type ControlAddresses, createControlAddresses } from "./control-addresses.ts";
import type { Endpoint, Firewall, Links, NetworkRules } from "./firewall.ts";

/** Timeout in milliseconds for resolving a name with rotating addresses before the network is restricted. */
const SAMPLING_MS_MAX = 5000;
/** Number of consecutive responses without a new address after which sampling stops. */
const STALE_SAMPLES_MAX = 3;
/** Maximum number of name servers. Systems use fewer, for example three with resolv.conf(5). */
const RESOLVERS_MAX = 8;

export type NetworkDeps = {
  firewall: Firewall;
  edgeUrl: string;
  /** The proxy through which the agent reaches the control plane. */
  proxy?: { name: string; port: number } | undefined;
  /** Returns all addresses of a name. Rejects if the name has no address. */
  resolve: (name: string) => Promise<string[]>;
  /** Name servers of this host. A stub on loopback is replaced by the servers that it forwards to. */
  resolvers: () => Promise<string[]>;
  /** Numeric ids of users that can query any name server while no name server is known. If absent, only root can. */
  resolverUsers?: (() => Promise<number[]>) | undefined;
  links: () => Promise<Links>;
  /** Remote addresses of this process's open TCP connections to a port. Absent on systems that cannot list them. */
  connected?: ((port: number) => Promise<string[]>) | undefined;
  /**
   * Name of the tunnel device (VPN) that routes packets to this endpoint. Undefined if they pass through no
   * tunnel.
   */
  tunnelTo?: ((endpoint: Endpoint) => Promise<string | undefined>) | undefined;
  /**
   * Saved addresses of the control plane. They are needed because the rules are installed at boot, before
   * names can be resolved.
   */
  load: () => string[];
  save: (addresses: readonly string[]) => void;
  reach: ReachControlPlane;
  sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  /** Current time in milliseconds, by a monotonic clock. */
  elapsed: () => number;
  log: Log;
};

/** The endpoint that the agent connects to: the control plane, or the proxy in front of it. */
export type Target = { name: string; port: number; what: "the control plane" | "the proxy" };

/** State of mode `network` between two checks. */
export type NetworkContext = {
  deps: NetworkDeps;
  target: Target;
  addresses: ControlAddresses;
  /**
   * The name servers found last. The list is kept while no name server is found, because without a known name
   * server the rules would allow all of them. A partly written configuration file can cause this.
   */
  resolvers: string[];
  /** The rules sent last, as JSON. Undefined if they are not in force. */
  sent: string | undefined;
  lastProbes: NonNullable<Proof["probes"]> | undefined;
};

export const networkContext = (deps: NetworkDeps): NetworkContext => ({
  deps,
  target: targetOf(deps),
  addresses: createControlAddresses(deps.load().filter(isPlainAddress), deps.elapsed),
  resolvers: [],
  sent: undefined,
  lastProbes: undefined,
});

function targetOf({ edgeUrl, proxy }: Pick<NetworkDeps, "edgeUrl" | "proxy">): Target {
  if (proxy) return { ...proxy, what: "the proxy" };
  const url = new URL(edgeUrl);
  return {
    name: url.hostname.replace(/^\[|\]$/g, ""),
    port: Number(url.port) || (url.protocol === "https:" ? 443 : 80),
    what: "the control plane",
  };
}

/**
 * Updates the known addresses from the name and the open connections. Returns true if an address was added or
 * removed.
 */
export async function followAddresses({ deps, target, addresses }: NetworkContext): Promise<boolean> {
  const { name, port } = target;
  const connected = ((await deps.connected?.(port)) ?? []).filter(isPlainAddress);
  const found = isPlainAddress(name) ? [name] : await deps.resolve(name).catch(() => []);
  const isChanged = addresses.see({ resolved: found.filter(isPlainAddress), connected });
  if (isChanged) deps.save(addresses.all());
  return isChanged;
}

/**
 * Resolves a name with rotating addresses until responses contain no new address. Called before the network
 * is restricted.
 */
export async function sampleAddresses(context: NetworkContext, signal: AbortSignal): Promise<void> {
  const { deps, target, addresses } = context;
  await followAddresses(context);
  if (isPlainAddress(target.name)) return;
  // The open connection of this request shows which address works.
  await deps.reach(signal);
  let stale = 0;
  const startedAtMs = deps.elapsed();
  const isInTime = (): boolean => deps.elapsed() - startedAtMs < SAMPLING_MS_MAX;
  while (stale < STALE_SAMPLES_MAX && isInTime() && !signal.aborted) {
    stale = (await followAddresses(context)) ? 0 : stale + 1;
    if (addresses.all().length >= ADDRESSES_MAX) return;
  }
}

/** Builds the rules for the addresses, name servers and links that are currently known. */
export async function wantedRules(context: NetworkContext): Promise<NetworkRules> {
  const { deps, target, addresses } = context;
  const named = (await deps.resolvers()).filter(isPlainAddress).slice(0, RESOLVERS_MAX);
  if (named.length > 0) context.resolvers = named;
  const users = context.resolvers.length > 0 ? undefined : await deps.resolverUsers?.();
  return {
    control: addresses
      .all()
      .sort()
      .map((address) => ({ address, port: target.port })),
    resolvers: [...context.resolvers].sort(),
    ...(users && { resolverUsers: users }),
    links: await deps.links(),
  };
}

/** Sends the rules. Returns a fault, or undefined if the rules are in force. */
export async function putRules(context: NetworkContext, rules: NetworkRules): Promise<string | undefined> {
  forgetRules(context);
  const fault = await context.deps.firewall.restrict(rules);
  if (fault) return fault;
  context.sent = JSON.stringify(rules);
  return undefined;
}

/** Sends the rules again if addresses, name servers or links have changed. */
export async function putIfChanged(context: NetworkContext): Promise<string | undefined> {
  const rules = await wantedRules(context);
  return JSON.stringify(rules) === context.sent ? undefined : putRules(context, rules);
}

export function forgetRules(context: NetworkContext): void {
  context.sent = undefined;
  context.lastProbes = undefined;
}
