/**
 * Maximum number of addresses kept for a control plane with rotating addresses. A DNS response of a content
 * delivery network contains fewer.
 */
export const ADDRESSES_MAX = 128;
/** Time in milliseconds for which an address stays allowed after it was last resolved or last had a connection. */
export const KEPT_MS = 3_600_000;

type Sighting = {
  /** Addresses that the name resolves to now. */
  resolved: readonly string[];
  /** Addresses to which the agent has open connections now. */
  connected: readonly string[];
};

export type ControlAddresses = {
  /**
   * All known addresses. Addresses that the agent had a connection to come first, then the most recently seen
   * ones.
   */
  all: () => string[];
  /**
   * Records a sighting. Returns true if an address was added or removed. An empty sighting means an outage
   * and changes nothing.
   */
  see: (sighting: Sighting) => boolean;
};

type Entry = { isProven: boolean; seenAtMs: number };

/**
 * Follows the changing addresses of a control plane. Removes addresses that were not seen for {@link
 * KEPT_MS}. If more than {@link ADDRESSES_MAX} remain, first removes addresses that the agent never had a
 * connection to.
 *
 * @param saved addresses of an earlier run, which count as seen now
 * @param elapsed milliseconds by a monotonic clock
 */
export function createControlAddresses(saved: readonly string[], elapsed: () => number): ControlAddresses {
  const entries = new Map<string, Entry>();
  const ranked = (): string[] =>
    [...entries]
      .sort(([, a], [, b]) => Number(b.isProven) - Number(a.isProven) || b.seenAtMs - a.seenAtMs)
      .map(([address]) => address);

  function see({ resolved, connected }: Sighting): boolean {
    const before = [...entries.keys()].sort().join();
    const nowMs = elapsed();
    for (const address of resolved)
      entries.set(address, { isProven: entries.get(address)?.isProven ?? false, seenAtMs: nowMs });
    for (const address of connected) entries.set(address, { isProven: true, seenAtMs: nowMs });
    if (resolved.length > 0)
      for (const [address, { seenAtMs }] of entries) if (nowMs - seenAtMs > KEPT_MS) entries.delete(address);
    for (const address of ranked().slice(ADDRESSES_MAX)) entries.delete(address);
    return [...entries.keys()].sort().join() !== before;
  }

  see({ resolved: saved, connected: [] });
  return { all: ranked, see };
}
