import type { WeightFile } from "../system/host.ts";
import type { Mapping } from "../system/process-maps.ts";
import type { MapTraces } from "./anonymous-memory.ts";
import type { Shown, Verdict } from "./weight-finder.ts";

/**
 * A file that a process maps or has open and that is not yet recognised. `verdict` is the result of the last
 * attempt.
 */
export type Unresolved = ({ mapping: Mapping } | { descriptor: string }) & { verdict?: Verdict };

/** The result of reading the memory maps of a process. */
export type MappedProcess = {
  key: string;
  shown: Shown;
  virtualBytes: number;
  weights: WeightFile[];
  libraries: string[];
  /** True if the agent has no permission to read the maps of the process. */
  denied: boolean;
  /** Number of files that were not read because of a limit or missing permissions. */
  unread: number;
  unresolved: Unresolved[];
  /** Device number of the file system that contains the executable, taken from the maps. */
  executableDevice: string | undefined;
  mapsGpu: boolean;
  /** Weights that an earlier scan found in the memory maps of the process. */
  earlier: readonly WeightFile[];
};

/** Weights, libraries and other findings by pid. */
export type FoundInMaps = {
  weights: ReadonlyMap<number, readonly WeightFile[]>;
  libraries: ReadonlyMap<number, readonly string[]>;
  /**
   * Other findings for processes with inference libraries: a mapped GPU device, and weights found in earlier
   * scans.
   */
  traces: ReadonlyMap<number, MapTraces>;
};

/** True if the process has anything to add to {@link FoundInMaps}. */
export const hasFindings = (entry: MappedProcess | undefined): boolean =>
  entry !== undefined && entry.weights.length + entry.libraries.length > 0;

/** Collects the findings of all processes. Copies each list of weights, because the original list can grow later. */
export function collectFindings(known: ReadonlyMap<number, MappedProcess>): FoundInMaps {
  const weights = new Map<number, WeightFile[]>();
  const libraries = new Map<number, string[]>();
  const traces = new Map<number, MapTraces>();
  for (const [pid, entry] of known) {
    if (entry.weights.length > 0) weights.set(pid, [...entry.weights]);
    if (entry.libraries.length > 0) libraries.set(pid, entry.libraries);
    const { mapsGpu } = entry;
    const earlier = entry.earlier.filter(({ path }) => !entry.weights.some((one) => one.path === path));
    if (entry.libraries.length > 0 && (mapsGpu || earlier.length > 0)) traces.set(pid, { mapsGpu, earlier });
  }
  return { weights, libraries, traces };
}

/** Describes the unresolved files, grouped by reason. */
export function describeUnresolved(
  known: ReadonlyMap<number, MappedProcess>,
): Record<"unreadable" | "unanswered" | "waiting", string[]> {
  let [unreadable, waiting] = [0, 0];
  const silent = new Map<string, number>();
  for (const { unresolved, unread } of known.values()) {
    unreadable += unread;
    for (const { verdict } of unresolved) {
      if (verdict?.is === "unanswered") silent.set(verdict.type, (silent.get(verdict.type) ?? 0) + 1);
      else if (verdict?.is === "unreadable") unreadable += 1;
      else waiting += 1;
    }
  }
  return {
    unreadable: unreadable > 0 ? [`could not read ${unreadable} mapped or open files`] : [],
    unanswered: [...silent].map(
      ([type, count]) => `could not read ${count} mapped files: the ${type} file system does not respond`,
    ),
    waiting: waiting > 0 ? [`${waiting} files wait for the next scan`] : [],
  };
}
