import { OPEN_ANSWERS } from "../../catalogue/auth.ts";
import type { CatalogEntry } from "../../catalogue/entry.ts";
import { MODELS_PATH } from "../../catalogue/judge.ts";

/**
 * Paths that are requested last. In LiteLLM, `/health` calls every model behind the gateway. `/metrics` has a
 * long response.
 */
const LAST = new Set(["/health", "/metrics"]);
const plans = new WeakMap<readonly CatalogEntry[], Plan>();

/** Returns the plan of a catalogue. The plan is created once per catalogue. */
export function planOf(catalogue: readonly CatalogEntry[]): Plan {
  const plan = plans.get(catalogue) ?? createPlan(catalogue);
  plans.set(catalogue, plan);
  return plan;
}

/**
 * Yields batches of paths. Paths of likely products come first. Other paths follow, in descending order of
 * the number of products that use them.
 */
type Plan = (likely: ReadonlySet<string>) => Generator<readonly string[]>;

function createPlan(catalogue: readonly CatalogEntry[]): Plan {
  const decisive = new Map(catalogue.map((entry) => [entry.id, decisivePaths(entry)]));
  const counts = new Map<string, number>();
  for (const path of [...decisive.values()].flat()) counts.set(path, (counts.get(path) ?? 0) + 1);
  const common = [...counts.keys()].sort((a, b) => counts.get(b)! - counts.get(a)!);
  const early = common.filter((path) => !LAST.has(path));
  const last = common.filter((path) => LAST.has(path));
  return function* plan(likely) {
    const hinted = [...likely].flatMap((id) => decisive.get(id) ?? []);
    yield [...hinted, MODELS_PATH].filter((path) => !LAST.has(path));
    for (let at = 0; at < early.length; at += 8) yield early.slice(at, at + 8);
    yield last;
  };
}

/** Paths of the traits that can identify the product. */
export const decisivePaths = (entry: CatalogEntry): string[] => [
  ...new Set(entry.traits.filter((trait) => trait.weight !== "hint").map((trait) => trait.path)),
];

/** Paths that return the version, the models and the authentication of an identified product. */
export const detailPaths = (entry: CatalogEntry): string[] => [
  ...(entry.version ?? []).map((source) => source.path),
  ...(entry.models ?? []).map((list) => list.path),
  ...(entry.openai ? [MODELS_PATH] : []),
  ...(OPEN_ANSWERS[entry.id] ?? []).map(({ path }) => path),
];
