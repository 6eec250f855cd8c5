import { isDeepStrictEqual } from "node:util";
import { type Collector, LIMITS, type Model, type Store } from "../../shared/wire/heartbeat.ts";
import { tidy } from "../../shared/wire/text.ts";
import type { CatalogEntry } from "../catalog/entry.ts";
import type { Files } from "./files.ts";
import type { Gaps } from "./look.ts";
import { createMemo } from "./memo.ts";
import { createDirectoryReader, type ModelDirectory } from "./model-directory.ts";
import { mergeByName } from "./models.ts";

/** Disks are looked at this often: models at rest change by downloads. */
export const REFRESH_MS = 600_000;

/** Somebody's directory of models, and whose store it is while nothing runs that reads it. */
type Place = ModelDirectory & { store: Pick<Store, "id" | "name"> };
type Seen = { models: Model[]; gaps: Gaps; nextAtMs: number };

/** The one list that is empty: whoever compares lists sees that nothing changed. */
export const NONE_AT_REST: readonly Model[] = [];

export type AtRest = {
  /** Of a product that runs, all of them; what is too much for a heartbeat is cut with the engine's other models. */
  read(entry: CatalogEntry): readonly Model[];
  /**
   * Of what does not run, by whose store they are; no place twice. Looks at places whose turn it is for about
   * `budgetMs`. Undefined until there was time for each of them. The same list as before while it says the same; for
   * the very same set at no cost, until it is some place's turn again.
   */
  stores(running: ReadonlySet<string>, budgetMs: number): Store[] | undefined;
  /** What the cache holds that nobody owns, as far as it was read: it describes what is loaded from there. */
  cached(): readonly Model[];
  /** What was read until now. */
  report(): Collector;
};

/** Models on disk, in the directories that the catalogue names. */
export function createAtRest(deps: {
  files: Files;
  catalogue: readonly CatalogEntry[];
  /** The same list while it says the same. */
  homes: () => readonly string[];
  elapsed: () => number;
}): AtRest {
  const readDirectory = createDirectoryReader(deps.files);
  const laidOut = createMemo<{ places: Place[]; shared: Place[] }>();
  const seen = new Map<string, Seen>();
  const joined = new Map<string, ReturnType<typeof createMemo<readonly Model[]>>>();
  const flattened = createMemo<readonly Model[]>();
  const grouped = createMemo<ReturnType<typeof storesOf>>();
  let told:
    | (ReturnType<typeof storesOf> & { running: ReadonlySet<string>; places: Place[]; untilMs: number })
    | undefined;

  const layout = () => {
    const homes = deps.homes();
    return laidOut([homes], () => {
      const places = placesOf(deps.catalogue, homes);
      const paths = new Set(places.map(({ path }) => path));
      for (const path of seen.keys()) if (!paths.has(path)) seen.delete(path);
      return { places, shared: places.filter(({ store }) => store === HUGGING_FACE) };
    });
  };
  const isDue = (path: string): boolean => (seen.get(path)?.nextAtMs ?? 0) <= deps.elapsed();
  function look(place: ModelDirectory): Seen {
    const before = seen.get(place.path);
    if (before && !isDue(place.path)) return before;
    const { models, gaps } = readDirectory(place);
    const isSame = before !== undefined && isDeepStrictEqual(before.models, models);
    const nextAtMs = deps.elapsed() + REFRESH_MS;
    const now = { models: isSame ? before.models : models, gaps, nextAtMs };
    seen.set(place.path, now);
    return now;
  }

  return {
    read: (entry) => {
      const parts = directoriesOf(entry, deps.homes()).map((directory) => look(directory).models);
      const join = joined.get(entry.id) ?? createMemo<readonly Model[]>();
      joined.set(entry.id, join);
      return join(parts, () => (parts.some(({ length }) => length > 0) ? parts.flat() : NONE_AT_REST));
    },
    stores: (running, budgetMs) => {
      const { places } = layout();
      if (told?.running === running && told.places === places && deps.elapsed() < told.untilMs)
        return told.stores;
      const read = pathsOf(deps.catalogue, deps.homes(), running);
      const idle = places.filter(({ path }) => !read.has(path));
      const endMs = deps.elapsed() + budgetMs;
      for (const place of idle) {
        if (deps.elapsed() >= endMs) break;
        look(place);
      }
      const found = idle.flatMap((place) => {
        const known = seen.get(place.path);
        return known ? [{ ...place, ...known }] : [];
      });
      told = undefined;
      if (found.length < idle.length) return undefined;
      const inputs = found.flatMap(({ path, models }) => (models.length > 0 ? [path, models] : []));
      const untilMs = Math.min(...found.map(({ nextAtMs }) => nextAtMs));
      told = { ...grouped(inputs, () => storesOf(found)), running, places, untilMs };
      return told.stores;
    },
    cached: () => {
      const parts = layout().shared.flatMap(({ path }) => seen.get(path)?.models ?? []);
      return flattened(parts, () => parts);
    },
    report: () => reportOf([...seen.values()], told),
  };
}

/** Directories of one product in all homes. */
const directoriesOf = ({ directories = [] }: CatalogEntry, homes: readonly string[]): ModelDirectory[] =>
  directories.flatMap(({ path, layout }) =>
    path.startsWith("~") ? homes.map((home) => ({ path: home + path.slice(1), layout })) : [{ path, layout }],
  );

const pathsOf = (
  catalogue: readonly CatalogEntry[],
  homes: readonly string[],
  ids: ReadonlySet<string>,
): ReadonlySet<string> =>
  new Set(
    catalogue.flatMap((entry) =>
      ids.has(entry.id) ? directoriesOf(entry, homes).map(({ path }) => path) : [],
    ),
  );

/** A cache that a dozen products fill and read is nobody's own. */
const HUGGING_FACE = { id: "huggingface", name: "Hugging Face cache" } as const;

/** Every place once, whoever reads it. */
function placesOf(catalogue: readonly CatalogEntry[], homes: readonly string[]): Place[] {
  const places = new Map<string, Place>();
  for (const entry of catalogue) {
    const own = { id: entry.id, name: tidy(entry.name, 80) };
    for (const { path, layout } of directoriesOf(entry, homes)) {
      const store = layout === "huggingface" ? HUGGING_FACE : own;
      if (!places.has(path)) places.set(path, { path, layout, store });
    }
  }
  return [...places.values()];
}

/** As many stores and models of each as a heartbeat takes, and how many models are left. */
function storesOf(found: readonly (Place & { models: Model[] })[]): { stores: Store[]; left: number } {
  const all = [...Map.groupBy(found, ({ store }) => store.id).values()].flatMap((group) => {
    const models = mergeByName(group.flatMap((place) => place.models));
    return models.length > 0 ? [{ ...group[0]!.store, models: models.map(atRest) }] : [];
  });
  const stores = all
    .slice(0, LIMITS.STORES_MAX)
    .map(({ models, ...store }) => ({ ...store, models: models.slice(0, LIMITS.MODELS_MAX) }));
  const count = (of: readonly Store[]): number => of.reduce((sum, { models }) => sum + models.length, 0);
  return { stores, left: count(all) - count(stores) };
}

const atRest = ({ loaded: _, ...model }: Model): Store["models"][number] => model;

/** @param told absent before there was time for every place */
function reportOf(seen: readonly Seen[], told: { left: number } | undefined): Collector {
  const left = told?.left ?? 0;
  const sum = (of: (one: Seen) => number): number => seen.reduce((total, one) => total + of(one), 0);
  const cut = sum(({ gaps }) => gaps.cut);
  const unreadable = sum(({ gaps }) => gaps.unreadable);
  const problems = [
    ...(unreadable > 0 ? [`${unreadable} files or directories of models not readable`] : []),
    ...(cut > 0 ? [`${cut} directories of models too large or too deep to be read in full`] : []),
    ...(left > 0 ? [`${left} models on disk left out`] : []),
  ];
  if (problems.length > 0) return { name: "at-rest", status: "partial", detail: problems.join("; ") };
  return {
    name: "at-rest",
    status: "ok",
    detail: `${sum(({ models }) => models.length)} models on disk${told ? "" : " so far"}`,
  };
}
