import type { Snapshot } from "../system/host.ts";

/**
 * Minimum time in ms for which weights must stay mapped. Search, checksum and backup programs map a model
 * only until they read the next file, which takes about a minute for the largest models.
 */
export const LASTING_MS = 120_000;

export type LastingWeights = {
  /** Returns the keys ({@link lastingKey}) of all lasting weights. Returns the same set while nothing changes. */
  update(snapshot: Pick<Snapshot, "processes" | "weights">): ReadonlySet<string>;
};

export const lastingKey = (pid: number, path: string): string => `${pid} ${path}`;

/**
 * Records how long each process has had weights mapped. If a scan does not find the mapping, the time starts
 * again at zero.
 */
export function createLastingWeights({ elapsed }: { elapsed: () => number }): LastingWeights {
  let since = new Map<string, number>();
  let lasting: ReadonlySet<string> = new Set();
  return {
    update: ({ processes, weights }) => {
      const nowMs = elapsed();
      const seen = new Map<string, number>();
      const found = new Set<string>();
      for (const [pid, files] of weights) {
        // The key contains the start time and name of the process. If a pid is reused, or the process runs
        // another program, a new period starts.
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
