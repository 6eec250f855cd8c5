import type { Snapshot } from "../system/host.ts";

/**
 * Minimum time for which weights must stay mapped. A search, a checksum or a backup maps a model only until
 * it reads the next file. The largest models take about a minute.
 */
export const LASTING_MS = 120_000;

export type LastingWeights = {
  /** Returns the keys ({@link lastingKey}) of all lasting weights. Returns the same set while nothing changes. */
  update(snapshot: Pick<Snapshot, "processes" | "weights">): ReadonlySet<string>;
};

export const lastingKey = (pid: number, path: string): string => `${pid} ${path}`;

/** Remembers how long each process has had weights mapped. The time restarts if a scan does not find the mapping. */
export function createLastingWeights({ elapsed }: { elapsed: () => number }): LastingWeights {
  let since = new Map<string, number>();
  let lasting: ReadonlySet<string> = new Set();
  return {
    update: ({ processes, weights }) => {
      const nowMs = elapsed();
      const seen = new Map<string, number>();
      const found = new Set<string>();
      for (const [pid, files] of weights) {
        // The key contains the start time and name of the process. A reused pid, or another program in the
        // same process, starts a new period.
        const key = processes.get(pid)?.key;
        for (const { path, how } of files) {
          if (how !== "mapped") continue;
          const name = `${key} ${path}`;
          const firstMs = since.get(name) ?? nowMs;
          seen.set(name, firstMs);
          if (nowMs - firstMs >= LASTING_MS) found.add(lastingKey(pid, path));
        }
      }
      since = seen;
      const isSame = found.size === lasting.size && [...found].every((one) => lasting.has(one));
      if (!isSame) lasting = found;
      return lasting;
    },
  };
}
