import type { Snapshot } from "../system/host.ts";

/**
 * For so long the same process must have the same file mapped. A search, a checksum or a backup maps a model as well, and
 * goes on to the next file: the largest models take it a minute or so.
 */
export const LASTING_MS = 120_000;

export type LastingWeights = {
  /** Keys of {@link lastingKey}. The same set as before while it says the same. */
  update(snapshot: Pick<Snapshot, "processes" | "weights">): ReadonlySet<string>;
};

export const lastingKey = (pid: number, path: string): string => `${pid} ${path}`;

/** Remembers since when each process has which weights mapped; it begins again when a scan does not see them. */
export function createLastingWeights({ elapsed }: { elapsed: () => number }): LastingWeights {
  let since = new Map<string, number>();
  let lasting: ReadonlySet<string> = new Set();
  return {
    update: ({ processes, weights }) => {
      const nowMs = elapsed();
      const seen = new Map<string, number>();
      const found = new Set<string>();
      for (const [pid, files] of weights) {
        // The key holds start time and name, so a reused pid or another program in the same process starts its own period.
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
