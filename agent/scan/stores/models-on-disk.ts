import { isDeepStrictEqual } from "node:util";
import { type Collector, LIMITS, type Model, type Store } from "../../../shared/wire/heartbeat.ts";
import type { CatalogEntry } from "../../catalogue/entry.ts";
import { mergeByName } from "../models/served-models.ts";
import type { Reader } from "../reader/file-reader.ts";
import type { Gaps, ReadAnswers, ReadOutcome } from "../reader/read-request.ts";
import { attempt, type Files } from "../system/files.ts";
import type { ModelOnDisk } from "../system/host.ts";
import { createMemo } from "../system/memo.ts";
import { createDirectoryReader } from "./model-directory.ts";
import type { MovedStores } from "./moved-stores.ts";
import {
  directoriesOf,
  type HomeDirectory,
  HUGGING_FACE,
  keyOf,
  keysOf,
  type MovedDirectory,
  type Place,
  placesOf,
} from "./store-places.ts";

/** Disks are looked at this often: models at rest change by downloads. */
export const REFRESH_MS = 600_000;
/** Delay before a directory that did not answer is read again. */
const UNANSWERED_MS = 30_000;

type Seen = { models: Model[]; gaps: Gaps; isUnanswered: boolean; nextAtMs: number };

/** Reads a directory of models and calls `done`, at once or later. */
export type Directories = (
  place: HomeDirectory,
  done: (outcome: ReadOutcome<ReadAnswers["directory"]>) => void,
) => void;

/** Reads directories synchronously in this process. Only for file systems that are known to respond. */
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
   * `budgetMs`. Undefined until there was time for each of them once. The same list as before while it says the same; for
   * the very same set at no cost, until it is some place's turn again.
   */
  stores(running: ReadonlySet<string>, budgetMs: number): Store[] | undefined;
  /** What the cache holds that nobody owns, as far as it was read: it describes what is loaded from there. */
  cached(): readonly Model[];
  /** Models of all places that were read until now, with a size. */
  onDisk(): readonly ModelOnDisk[];
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
  const sized = createMemo<readonly ModelOnDisk[]>();
  const grouped = createMemo<ReturnType<typeof storesOf>>();
  let reported:
    | (ReturnType<typeof storesOf> & { running: ReadonlySet<string>; places: Place[]; untilMs: number })
    | undefined;

  /** After that, new stores are added once they were read, and the others stay in the report. */
  let wasComplete = false;
  /** Settings are read when disks are looked at for the first time, not before. */
  let isLooking = false;
  const movedNow = () => (isLooking ? deps.moved?.directories() : undefined) ?? NONE_MOVED;
  const layout = () => {
    const homes = deps.homes();
    const moved = movedNow();
    return laidOut([homes, moved], () => {
      const places = placesOf(deps.catalogue, homes, moved);
      const keys = new Set(places.map(keyOf));
      for (const key of seen.keys()) if (!keys.has(key)) seen.delete(key);
      return { places, shared: places.filter(({ store }) => store === HUGGING_FACE) };
    });
  };
  const isDue = (key: string): boolean => (seen.get(key)?.nextAtMs ?? 0) <= deps.elapsed();
  /** What is known of a place, undefined before it was read for the first time. */
  function look(place: HomeDirectory): Seen | undefined {
    const key = keyOf(place);
    if (isDue(key) && !reading.has(key)) {
      reading.add(key);
      deps.directories(place, (outcome) => {
        reading.delete(key);
        keep(key, outcome);
      });
    }
    return seen.get(key);
  }
  function keep(key: string, outcome: ReadOutcome<ReadAnswers["directory"]>): void {
    const before = seen.get(key);
    const isUnanswered = "miss" in outcome;
    const { models, gaps } = isUnanswered
      ? { models: before?.models ?? [], gaps: before?.gaps ?? { cut: 0, unreadable: 0 } }
      : outcome.value;
    const isSame = before !== undefined && isDeepStrictEqual(before.models, models);
    const nextAtMs = deps.elapsed() + (isUnanswered ? UNANSWERED_MS : REFRESH_MS);
    seen.set(key, { models: isSame ? before.models : models, gaps, isUnanswered, nextAtMs });
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
      const read = keysOf(deps.catalogue, deps.homes(), movedNow(), running);
      const idle = places.filter((place) => !read.has(keyOf(place)));
      const endMs = deps.elapsed() + budgetMs;
      for (const place of idle) {
        if (deps.elapsed() >= endMs) break;
        look(place);
      }
      const found = idle.flatMap((place) => {
        const known = seen.get(keyOf(place));
        return known ? [{ ...place, ...known }] : [];
      });
      reported = undefined;
      const isComplete = found.length === idle.length && deps.moved?.isWaiting() !== true;
      wasComplete ||= isComplete;
      if (!wasComplete) return undefined;
      const inputs = found.flatMap((one) => (one.models.length > 0 ? [keyOf(one), one.models] : []));
      const untilMs = Math.min(...found.map(({ nextAtMs }) => nextAtMs));
      const now = grouped(inputs, () => storesOf(found));
      if (isComplete) reported = { ...now, running, places, untilMs };
      return now.stores;
    },
    cached: () => {
      const parts = layout().shared.flatMap((place) => seen.get(keyOf(place))?.models ?? []);
      return flattened(parts, () => parts);
    },
    onDisk: () => {
      const parts = [...seen.values()].map(({ models }) => models).filter(({ length }) => length > 0);
      return sized(parts, () =>
        parts
          .flat()
          .flatMap(({ name, sizeBytes, format = "unknown" }) =>
            sizeBytes ? [{ name, sizeBytes, format }] : [],
          ),
      );
    },
    report: () => reportOf([...seen.values()], reported, deps.moved?.gaps()),
    isWaiting: () => reported === undefined || reading.size > 0 || deps.moved?.isWaiting() === true,
  };
}

/** At most as many stores and models as a heartbeat allows, with the number of models left out. */
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
