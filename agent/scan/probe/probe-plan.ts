import { OPEN_ANSWERS } from "../../catalogue/auth.ts";
import type { CatalogEntry } from "../../catalogue/entry.ts";
import { MODELS_PATH } from "../../catalogue/judge.ts";

/** Asked last: `/health` of LiteLLM calls every model behind it, `/metrics` is long everywhere. */
const LAST = new Set(["/health", "/metrics"]);
const plans = new WeakMap<readonly CatalogEntry[], Plan>();

/** A catalogue lives as long as the scanner: its plan is made once. */
export function planOf(catalogue: readonly CatalogEntry[]): Plan {
  const plan = plans.get(catalogue) ?? createPlan(catalogue);
  plans.set(catalogue, plan);
  return plan;
}

type Plan = (likely: ReadonlySet<string>) => Generator<readonly string[]>;

/** Batches of paths, most telling first: those of what is likely, then those that most products answer. */
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

export const decisivePaths = (entry: CatalogEntry): string[] => [
  ...new Set(entry.traits.filter((trait) => trait.weight !== "hint").map((trait) => trait.path)),
];

export const detailPaths = (entry: CatalogEntry): string[] => [
  ...(entry.version ?? []).map((source) => source.path),
  ...(entry.models ?? []).map((list) => list.path),
  ...(entry.openai ? [MODELS_PATH] : []),
  ...(OPEN_ANSWERS[entry.id] ?? []).map(({ path }) => path),
];
