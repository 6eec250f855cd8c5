import { type Collector, type Engine, type Evidence, LIMITS } from "../../../shared/wire/heartbeat.ts";
import { WEIGHTS } from "./confidence.ts";

/** Signals from the memory of a process. Unlike responses and command lines, they are hard to fake. */
const IN_MEMORY: ReadonlySet<Evidence["signal"]> = new Set(["weights", "library", "gpu"]);
const GROUPS_NAMED_MAX = 4;

/**
 * Selects engines up to the limit of a heartbeat. A collector reports the number of engines that were left
 * out. Engines with evidence in memory come first, so that fake servers cannot displace them. Within each
 * group the order is round-robin over users, and then over the products of a user, so that no user can
 * displace the engines of other users.
 */
export function selectEngines(
  complete: readonly { engine: Engine; cut: number }[],
  max: number = LIMITS.ENGINES_MAX,
): { engines: Engine[]; limits: Collector[] } {
  const all = complete.map(({ engine }) => engine).sort(byConfidence);
  const ordered = [...inTurns(all.filter(isInMemory)), ...inTurns(all.filter((one) => !isInMemory(one)))];
  const left = ordered.slice(max);
  const items = complete.reduce((sum, { cut }) => sum + cut, 0);
  const problems = [
    ...(left.length > 0 ? [`${left.length} of ${ordered.length} engines left out: ${countsOf(left)}`] : []),
    ...(items > 0 ? [`${items} items in engines left out`] : []),
  ];
  const limits: Collector[] =
    problems.length === 0 ? [] : [{ name: "limits", status: "partial", detail: problems.join("; ") }];
  return { engines: ordered.slice(0, max), limits };
}

const byConfidence = (a: Engine, b: Engine): number =>
  b.confidence - a.confidence || (a.pid ?? 0) - (b.pid ?? 0);

const isInMemory = ({ evidence }: Engine): boolean =>
  evidence.some(({ signal, weight }) => IN_MEMORY.has(signal) && weight > WEIGHTS.libraryShared.weight);

/** Round-robin over users, then over the products of each user. */
function inTurns(engines: readonly Engine[]): Engine[] {
  const users = Map.groupBy(engines, ({ user = "" }) => user);
  const lists = [...users.values()].map((own) => interleaved([...Map.groupBy(own, ({ id }) => id).values()]));
  return interleaved(lists);
}

function interleaved<T>(lists: readonly (readonly T[])[]): T[] {
  const longest = Math.max(0, ...lists.map((list) => list.length));
  return Array.from({ length: longest }, (_, at) => lists.flatMap((list) => list.slice(at, at + 1))).flat();
}

/** Number of engines by product and user, largest first: `40 ollama of ada, 3 vllm of grace`. */
function countsOf(engines: readonly Engine[]): string {
  const groups = Map.groupBy(engines, ({ id, user }) => `${id} of ${user ?? "an unknown user"}`);
  const counts = [...groups].sort((a, b) => b[1].length - a[1].length);
  const named = counts.slice(0, GROUPS_NAMED_MAX).map(([group, { length }]) => `${length} ${group}`);
  return [...named, ...(counts.length > GROUPS_NAMED_MAX ? ["others"] : [])].join(", ");
}
