import { type Files, optional } from "./files.ts";
import { addressNumber, parseDirectRoutes, parseLocalAddresses } from "./sockets.ts";

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
  return {
    own: (address) => {
      if (address === "0.0.0.0") return "127.0.0.1";
      if (address === "::") return "::1";
      // A link-local address needs a zone that the table does not tell.
      return address.startsWith("fe80:") ? undefined : address;
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
