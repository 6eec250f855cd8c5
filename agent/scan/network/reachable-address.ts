import type { Collector } from "../../../shared/wire/heartbeat.ts";
import { type Files, optional } from "../system/files.ts";
import type { Listener } from "../system/host.ts";
import { addressNumber, parseDirectRoutes, parseLinkLocal, parseLocalAddresses } from "./sockets.ts";

/** Addresses at which the agent can reach listeners. */
export type Reach = {
  /** Address for a listener in the agent's own network namespace. */
  own(address: string): string | undefined;
  /**
   * Address for a listener in the network namespace of process `witness`. Undefined if no address certainly
   * leads to that listener.
   */
  foreign(address: string, witness: number): string | undefined;
};

const TABLE_BYTES_MAX = 256 * 1024;

/**
 * Finds addresses at which the agent can reach listeners. A container's address is used only if this host has
 * a direct route to it through a bridge of this host. Any other address could belong to another machine, and
 * the agent probes only its own host.
 */
export function createReach(deps: { files: Files; procRoot: string; sysRoot: string }): Reach {
  const { files, procRoot, sysRoot } = deps;
  const cache = new Map<string, string | undefined>();
  const zones = new Map<string, string | undefined>();
  return {
    own: (address) => {
      if (address === "0.0.0.0") return "127.0.0.1";
      if (address === "::") return "::1";
      return isLinkLocal(address) ? zoned(address) : address;
    },
    foreign: (address, witness) => {
      const key = `${witness} ${address}`;
      if (!cache.has(key)) {
        if (cache.size > 1024) cache.clear();
        cache.set(key, lookUp(address, witness));
      }
      return cache.get(key);
    },
  };

  /**
   * Adds the interface name to a link-local address. The socket table does not contain the interface, so
   * exactly one interface must match.
   */
  function zoned(address: string): string | undefined {
    if (!zones.has(address)) {
      if (zones.size > 1024) zones.clear();
      const table = optional(() => files.text(`${procRoot}/net/if_inet6`, TABLE_BYTES_MAX)) ?? "";
      const [zone, ...others] = parseLinkLocal(table).get(address) ?? [];
      zones.set(address, zone === undefined || others.length > 0 ? undefined : `${address}%${zone}`);
    }
    return zones.get(address);
  }

  function lookUp(address: string, witness: number): string | undefined {
    if (address.startsWith("127.")) return undefined;
    if (address.includes(":") && address !== "::") return undefined;
    const any = address === "0.0.0.0" || address === "::";
    const locals = any
      ? parseLocalAddresses(
          optional(() => files.text(`${procRoot}/${witness}/net/fib_trie`, TABLE_BYTES_MAX)) ?? "",
        )
      : [address];
    return locals.find((local) => !local.startsWith("127.") && isBridged(local));
  }

  function isBridged(address: string): boolean {
    const routes = parseDirectRoutes(
      optional(() => files.text(`${procRoot}/net/route`, TABLE_BYTES_MAX)) ?? "",
    );
    const number = addressNumber(address);
    const best = routes
      .filter((route) => (number & route.mask) >>> 0 === route.network)
      .sort((a, b) => b.mask - a.mask)[0];
    if (!best) return false;
    return (
      optional(() => files.facts(`${sysRoot}/class/net/${best.interfaceName}/bridge`))?.isDirectory ?? false
    );
  }
}

const isLinkLocal = (address: string): boolean => /^fe[89ab][0-9a-f]:/.test(address);

/** Number of listeners on link-local addresses whose interface is unknown or ambiguous. */
export const linkLocalUnprobed = (listeners: readonly Listener[]): number =>
  listeners.filter(
    ({ address, network, reachableAt }) =>
      network === undefined && reachableAt === undefined && isLinkLocal(address),
  ).length;

export const linkLocalDetail = (count: number): string =>
  `did not probe ${count} link-local listeners: their interface is unknown`;

/** Adds the number of link-local listeners that cannot be probed to a collector report. */
export function withLinkLocal(collector: Collector, listeners: readonly Listener[]): Collector {
  const count = linkLocalUnprobed(listeners);
  if (count === 0 || collector.status === "failed") return collector;
  const problems = [...(collector.status === "partial" ? [collector.detail] : []), linkLocalDetail(count)];
  return { ...collector, status: "partial", detail: problems.join("; ") };
}
