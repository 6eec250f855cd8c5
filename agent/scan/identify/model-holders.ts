import type { Heard } from "../probe/probe-listeners.ts";
import type { ProcessFacts, Snapshot, WeightFile } from "../system/host.ts";
import type { Facts } from "./candidate.ts";
import { lastingKey } from "./lasting-weights.ts";
import { sharedLibrary } from "./process-claims.ts";

/** Processes that compute on the GPU with a library that runs models: their weights need no file any more. */
export const computing = (snapshot: Snapshot): number[] =>
  [...snapshot.gpu.keys()].filter((pid) => isComputing(pid, snapshot));

const isComputing = (pid: number, { gpu, libraries }: Snapshot): boolean =>
  gpu.get(pid)?.computes === true && sharedLibrary(libraries.get(pid) ?? []) !== undefined;

/** Whether the process has weights mapped or open, or computes with them on the GPU. */
export const holdsModel = (pid: number, snapshot: Snapshot): boolean =>
  (snapshot.weights.get(pid)?.length ?? 0) > 0 || isComputing(pid, snapshot);

/**
 * Whether weights are all there is, and those only for now or merely open. A search, a checksum, a backup or a torrent
 * reads model files too. An engine keeps them mapped, or also has an inference library, GPU memory or an HTTP answer.
 */
export function readsOnly(
  { pid }: ProcessFacts,
  { weights, shaped }: { weights: readonly WeightFile[]; shaped: readonly Heard[] },
  { snapshot, lasting }: Pick<Facts, "snapshot" | "lasting">,
): boolean {
  if (weights.length === 0 || shaped.length > 0 || snapshot.gpu.has(pid)) return false;
  if (sharedLibrary(snapshot.libraries.get(pid) ?? []) !== undefined) return false;
  return !weights.some(({ path }) => lasting?.has(lastingKey(pid, path)));
}
