import type { Collector } from "../../../shared/wire/heartbeat.ts";
import { type Files, optional } from "../system/files.ts";
import type { Listener } from "../system/host.ts";
import { addressNumber, parseDirectRoutes, parseLinkLocal, parseLocalAddresses } from "./sockets.ts";

/** Which address leads to a listener from here. */
export type Reach = {
  /** A listener of the agent's own network namespace. */
  own(address: string): string | undefined;
  /** A listener of the namespace that `witness` lives in; undefined when no address leads there for certain. */
  foreign(address: string, witness: number): string | undefined;
};

const TABLE_BYTES_MAX = 256 * 1024;

/**
 * A container's address is only tried when this host has a direct route to it through a bridge of its own:
 * anything else could be another machine, and the agent probes this host alone.
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

  /** A link-local address needs its interface, which the table of sockets does not tell: the one that has it. */
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

/** Listeners of this host's own network on a link-local address that no interface could be named for. */
export const linkLocalUnasked = (listeners: readonly Listener[]): number =>
  listeners.filter(
    ({ address, network, reachableAt }) =>
      network === undefined && reachableAt === undefined && isLinkLocal(address),
  ).length;

export const linkLocalDetail = (count: number): string =>
  `${count} link-local listeners not asked: their interface is not known`;

/** The report on listeners, with a word about those that could not be asked. */
export function withLinkLocal(collector: Collector, listeners: readonly Listener[]): Collector {
  const count = linkLocalUnasked(listeners);
  if (count === 0 || collector.status === "failed") return collector;
  const problems = [...(collector.status === "partial" ? [collector.detail] : []), linkLocalDetail(count)];
  return { ...collector, status: "partial", detail: problems.join("; ") };
}
