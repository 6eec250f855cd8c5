import type { ProcessFacts, Snapshot } from "../system/host.ts";

const ANCESTORS_MAX = 8;

/** Ancestors of a process, parent first, at most {@link ANCESTORS_MAX}. Excludes init (pid 1). */
export function ancestorsOf(process: ProcessFacts, snapshot: Pick<Snapshot, "processes">): ProcessFacts[] {
  const ancestors: ProcessFacts[] = [];
  let parent = snapshot.processes.get(process.parentPid);
  while (parent && parent.pid !== 1 && ancestors.length < ANCESTORS_MAX && !ancestors.includes(parent)) {
    ancestors.push(parent);
    parent = snapshot.processes.get(parent.parentPid);
  }
  return ancestors;
}
