import type { Collector, Engine } from "../../shared/wire/heartbeat.ts";
import type { CatalogEntry } from "../catalog/entry.ts";
import type { Heard } from "./candidate.ts";
import type { Claim } from "./claims.ts";
import type { FingerprintDeps } from "./fingerprint.ts";
import type { AnyListener, Host, Snapshot } from "./host.ts";
import { createListening, type LikelyOf } from "./listening.ts";

/** Programs of these kinds have sockets of their own among their processes, and serve no models there. */
const NO_SERVERS = new Set<Engine["kind"]>(["coding-agent", "ai-app", "launcher"]);

export type UnixListening = {
  update(
    snapshot: Snapshot,
    claims: ReadonlyMap<number, readonly Claim[]>,
    likelyOf: LikelyOf,
    signal?: AbortSignal,
  ): Promise<{ heard: readonly Heard[]; collector?: Collector; waiting: readonly string[] }>;
};

/** Asks the unix sockets of processes that have shown something else already: weights, a library, a GPU or a claim. */
export function createUnixListening(
  deps: FingerprintDeps & { host: Host; selfPid: number; catalogue: readonly CatalogEntry[] },
): UnixListening {
  const listening = createListening(deps);
  const kinds = new Map(deps.catalogue.map(({ id, kind }) => [id, kind]));
  const serves = (product: string): boolean => !NO_SERVERS.has(kinds.get(product) ?? "generic");
  const NONE: { heard: readonly Heard[]; waiting: readonly string[] } = { heard: [], waiting: [] };

  return {
    update: async ({ processes, weights, libraries, gpu }, claims, likelyOf, signal) => {
      if (!deps.host.unixListeners) return NONE;
      const claiming = [...claims].filter(([, made]) => made.some(({ product }) => serves(product)));
      const suspects = new Set([
        ...weights.keys(),
        ...gpu.keys(),
        ...libraries.keys(),
        ...claiming.map(([pid]) => pid),
      ]);
      suspects.delete(deps.selfPid);
      const { listeners, collector } = deps.host.unixListeners(suspects);
      const sighting: { processes: Snapshot["processes"]; listeners: readonly AnyListener[] } = {
        processes,
        listeners,
      };
      const asked = await listening.update(sighting, likelyOf, signal);
      return { ...asked, collector: joined(collector, asked.collector) };
    },
  };
}

function joined(found: Collector, asked: Collector): Collector {
  if (asked.status === "ok") return found;
  const problems = [...(found.status === "ok" ? [] : [found.detail]), asked.detail];
  return { ...found, status: "partial", detail: problems.join("; ") };
}
