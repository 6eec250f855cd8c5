import type { Heard } from "../probe/probe-listeners.ts";
import type { ProcessFacts, Snapshot, WeightFile } from "../system/host.ts";
import type { Facts } from "./candidate.ts";
import { lastingKey } from "./lasting-weights.ts";
import { sharedLibrary } from "./process-claims.ts";

/**
 * Processes that compute on the GPU with an inference library. Their weights may no longer have an open or
 * mapped file.
 */
export const computing = (snapshot: Snapshot): number[] =>
  [...snapshot.gpu.keys()].filter((pid) => isComputing(pid, snapshot));

const isComputing = (pid: number, { gpu, libraries }: Snapshot): boolean =>
  gpu.get(pid)?.computes === true && sharedLibrary(libraries.get(pid) ?? []) !== undefined;

/** True if the process has weights mapped or open, or computes on the GPU with an inference library. */
export const holdsModel = (pid: number, snapshot: Snapshot): boolean =>
  (snapshot.weights.get(pid)?.length ?? 0) > 0 || isComputing(pid, snapshot);

/**
 * True if weights that are open, or were mapped for a short time, are the only evidence. Search, checksum,
 * backup and torrent programs read model files too. An engine keeps the files mapped, or has an inference
 * library, GPU memory or an OpenAI API.
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
