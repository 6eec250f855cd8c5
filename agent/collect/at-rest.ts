import { isDeepStrictEqual } from "node:util";
import { type Collector, LIMITS, type Model, type Store } from "../../shared/wire/heartbeat.ts";
import type { CatalogEntry } from "../catalog/entry.ts";
import { attempt, type Files } from "./files.ts";
import type { Gaps } from "./look.ts";
import { createMemo } from "./memo.ts";
import { createDirectoryReader } from "./model-directory.ts";
import { mergeByName } from "./models.ts";
import type { MovedStores } from "./moved-stores.ts";
import type { ReadAnswers, ReadOutcome } from "./read-request.ts";
import type { Reader } from "./reader.ts";
import {
  directoriesOf,
  type HomeDirectory,
  HUGGING_FACE,
  type MovedDirectory,
  type Place,
  pathsOf,
  placesOf,
} from "./store-places.ts";

/** Disks are looked at this often: models at rest change by downloads. */
export const REFRESH_MS = 600_000;
/** A directory that did not answer is tried again after this long. */
const UNANSWERED_MS = 30_000;

type Seen = { models: Model[]; gaps: Gaps; isUnanswered: boolean; nextAtMs: number };

/** Reads a directory of models and calls `done`, at once or later. */
export type Directories = (
  place: HomeDirectory,
  done: (outcome: ReadOutcome<ReadAnswers["directory"]>) => void,
) => void;

/** Directories that are read here and now: for files that are known to answer. */
export function directoriesIn(files: Files): Directories {
  const readDirectory = createDirectoryReader(files);
  return (place, done) => done(attempt(() => readDirectory(place)));
}

/**
 * Directories in homes, read by the reader process: people decide what lies there, and a home may be on a server.
 */
export const directoriesBy =
  (reader: Reader): Directories =>
  ({ path, layout, home, ownerUids }, done) =>
    void reader.ask({ op: "directory", path, layout, ...(ownerUids && { ownerUids }) }, home).then(done);

/** The one list that is empty: whoever compares lists sees that nothing changed. */
export const NONE_AT_REST: readonly Model[] = [];
const NONE_MOVED: readonly MovedDirectory[] = [];

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
  /** True while a directory is being read, or was not read for lack of time. */
  isWaiting(): boolean;
};

/** Models on disk, in the directories that the catalogue names. */
export function createAtRest(deps: {
  directories: Directories;
  catalogue: readonly CatalogEntry[];
  /** The same list while it says the same. */
  homes: () => readonly string[];
  elapsed: () => number;
  /** Absent: only default directories are read. */
  moved?: MovedStores;
}): AtRest {
  const reading = new Set<string>();
  const laidOut = createMemo<{ places: Place[]; shared: Place[] }>();
  const seen = new Map<string, Seen>();
  const joined = new Map<string, ReturnType<typeof createMemo<readonly Model[]>>>();
  const flattened = createMemo<readonly Model[]>();
  const grouped = createMemo<ReturnType<typeof storesOf>>();
  let reported:
    | (ReturnType<typeof storesOf> & { running: ReadonlySet<string>; places: Place[]; untilMs: number })
    | undefined;

  /** Settings are read when disks are looked at for the first time, not before. */
  let isLooking = false;
  const movedNow = () => (isLooking ? deps.moved?.directories() : undefined) ?? NONE_MOVED;
  const layout = () => {
    const homes = deps.homes();
    const moved = movedNow();
    return laidOut([homes, moved], () => {
      const places = placesOf(deps.catalogue, homes, moved);
      const paths = new Set(places.map(({ path }) => path));
      for (const path of seen.keys()) if (!paths.has(path)) seen.delete(path);
      return { places, shared: places.filter(({ store }) => store === HUGGING_FACE) };
    });
  };
  const isDue = (path: string): boolean => (seen.get(path)?.nextAtMs ?? 0) <= deps.elapsed();
  /** What is known of a place, undefined before it was read for the first time. */
  function look(place: HomeDirectory): Seen | undefined {
    if (isDue(place.path) && !reading.has(place.path)) {
      reading.add(place.path);
      deps.directories(place, (outcome) => {
        reading.delete(place.path);
        keep(place.path, outcome);
      });
    }
    return seen.get(place.path);
  }
  function keep(path: string, outcome: ReadOutcome<ReadAnswers["directory"]>): void {
    const before = seen.get(path);
    const isUnanswered = "miss" in outcome;
    const { models, gaps } = isUnanswered
      ? { models: before?.models ?? [], gaps: before?.gaps ?? { cut: 0, unreadable: 0 } }
      : outcome.value;
    const isSame = before !== undefined && isDeepStrictEqual(before.models, models);
    const nextAtMs = deps.elapsed() + (isUnanswered ? UNANSWERED_MS : REFRESH_MS);
    seen.set(path, { models: isSame ? before.models : models, gaps, isUnanswered, nextAtMs });
  }

  return {
    read: (entry) => {
      isLooking = true;
      const parts = directoriesOf(entry, deps.homes(), movedNow()).map(
        (directory) => look(directory)?.models ?? NONE_AT_REST,
      );
      const join = joined.get(entry.id) ?? createMemo<readonly Model[]>();
      joined.set(entry.id, join);
      return join(parts, () => (parts.some(({ length }) => length > 0) ? parts.flat() : NONE_AT_REST));
    },
    stores: (running, budgetMs) => {
      isLooking ||= budgetMs > 0;
      const { places } = layout();
      if (reported?.running === running && reported.places === places && deps.elapsed() < reported.untilMs)
        return reported.stores;
      const read = pathsOf(deps.catalogue, deps.homes(), movedNow(), running);
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
      reported = undefined;
      if (found.length < idle.length || deps.moved?.isWaiting()) return undefined;
      const inputs = found.flatMap(({ path, models }) => (models.length > 0 ? [path, models] : []));
      const untilMs = Math.min(...found.map(({ nextAtMs }) => nextAtMs));
      reported = { ...grouped(inputs, () => storesOf(found)), running, places, untilMs };
      return reported.stores;
    },
    cached: () => {
      const parts = layout().shared.flatMap(({ path }) => seen.get(path)?.models ?? []);
      return flattened(parts, () => parts);
    },
    report: () => reportOf([...seen.values()], reported, deps.moved?.gaps()),
    isWaiting: () => reported === undefined || reading.size > 0 || deps.moved?.isWaiting() === true,
  };
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

/** @param reported absent before there was time for every place */
function reportOf(
  seen: readonly Seen[],
  reported: { left: number } | undefined,
  settings = { unreadable: 0, cut: 0, unanswered: 0 },
): Collector {
  const left = reported?.left ?? 0;
  const sum = (of: (one: Seen) => number): number => seen.reduce((total, one) => total + of(one), 0);
  const cut = sum(({ gaps }) => gaps.cut);
  const unreadable = sum(({ gaps }) => gaps.unreadable);
  const foreign = sum(({ gaps }) => gaps.foreign ?? 0);
  const unreadSettings = settings.unreadable + settings.cut + settings.unanswered;
  const unanswered = seen.filter(({ isUnanswered }) => isUnanswered).length;
  const problems = [
    ...(unanswered > 0
      ? [`${unanswered} directories of models not read: their file system does not answer`]
      : []),
    ...(unreadable > 0 ? [`${unreadable} files or directories of models not readable`] : []),
    ...(cut > 0 ? [`${cut} directories of models too large or too deep to be read in full`] : []),
    ...(foreign > 0
      ? [`${foreign} directories of models not read: a setting names what belongs to another user`]
      : []),
    ...(unreadSettings > 0 ? [`${unreadSettings} settings of model stores not readable`] : []),
    ...(left > 0 ? [`${left} models on disk left out`] : []),
  ];
  if (problems.length > 0) return { name: "at-rest", status: "partial", detail: problems.join("; ") };
  return {
    name: "at-rest",
    status: "ok",
    detail: `${sum(({ models }) => models.length)} models on disk${reported ? "" : " so far"}`,
  };
}
