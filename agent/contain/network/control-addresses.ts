/** Addresses of a control plane that rotates them: more than any answer of a content delivery network holds. */
export const ADDRESSES_MAX = 128;
/** For so long an address stays open that the name no longer gives and that the agent has no connection to. */
export const KEPT_MS = 3_600_000;

export type Sighting = {
  /** What the name gives now. */
  resolved: readonly string[];
  /** Where the agent has open connections to the control plane now. */
  connected: readonly string[];
};

export type ControlAddresses = {
  /** Best first: those the agent was connected to, then by the time they were last seen. */
  all: () => string[];
  /** Takes what was seen now; true when addresses came or went. Seeing nothing changes nothing: that is an outage. */
  see: (sighting: Sighting) => boolean;
};

type Entry = { isProven: boolean; seenAtMs: number };

/**
 * Follows a control plane whose addresses change. An address leaves when it was not seen for {@link KEPT_MS}, or when
 * there are more than {@link ADDRESSES_MAX}: then those the agent never had a connection to leave first.
 *
 * @param saved addresses of an earlier run; their time begins again
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
