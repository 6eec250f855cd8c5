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

/**
 * Interval in ms between two reads of a directory. Models on disk change only when a user downloads or
 * deletes one.
 */
export const REFRESH_MS = 600_000;
/** Delay in ms before a directory that did not respond is read again. */
const UNANSWERED_MS = 30_000;

/**
 * Result of the last read of a directory. `isUnanswered` is true if the file system of the directory did not
 * respond.
 */
type Seen = { models: Model[]; gaps: Gaps; isUnanswered: boolean; nextAtMs: number };

/** Reads a model directory and calls `done` with the result, synchronously or later. */
export type Directories = (
  place: HomeDirectory,
  done: (outcome: ReadOutcome<ReadAnswers["directory"]>) => void,
) => void;

/** Reads directories synchronously in this process. Use this only for file systems that are known to respond. */
export function directoriesIn(files: Files): Directories {
  const readDirectory = createDirectoryReader(files);
  return (place, done) => done(attempt(() => readDirectory(place)));
}

/**
 * Reads directories in the reader process, because users control the content of a home directory, and its
 * file system may hang.
 */
export const directoriesBy =
  (reader: Reader): Directories =>
  ({ path, layout, home, ownerUids }, done) =>
    void reader.ask({ op: "directory", path, layout, ...(ownerUids && { ownerUids }) }, home).then(done);

/**
 * The only empty list that is returned. While nothing changes, the same list is returned, so callers can
 * compare lists by identity.
 */
export const NONE_AT_REST: readonly Model[] = [];
const NONE_MOVED: readonly MovedDirectory[] = [];

type Deps = {
  directories: Directories;
  catalogue: readonly CatalogEntry[];
  /** Returns the same array while nothing changes. */
  homes: () => readonly string[];
  elapsed: () => number;
  /** Finds model directories named by settings. Absent if only default directories are read. */
  moved?: MovedStores;
};

/** The last complete report. The report is valid for the same inputs until a directory is due for the next read. */
type Reported = ReturnType<typeof storesOf> & {
  running: ReadonlySet<string>;
  places: Place[];
  untilMs: number;
};

/** Models on disk, in the directories of the catalogue and in directories named by settings. */
export class AtRest {
  readonly #deps: Deps;
  readonly #reading = new Set<string>();
  readonly #seen = new Map<string, Seen>();
  readonly #joined = new Map<string, ReturnType<typeof createMemo<readonly Model[]>>>();
  readonly #places = createMemo<{ places: Place[]; shared: Place[] }>();
  readonly #flattened = createMemo<readonly Model[]>();
  readonly #sized = createMemo<readonly ModelOnDisk[]>();
  readonly #grouped = createMemo<ReturnType<typeof storesOf>>();
  #reported: Reported | undefined;
  /** True once every directory has been read. From then on, reports include a new directory as soon as it is read. */
  #wasComplete = false;
  /** False until the first read of a directory. Settings are not read before that. */
  #isStarted = false;

  constructor(deps: Deps) {
    this.#deps = deps;
  }

  /** Models of a running product. The list is never truncated. */
  read(entry: CatalogEntry): readonly Model[] {
    this.#isStarted = true;
    const directories = directoriesOf(entry, this.#deps.homes(), this.#moved());
    const parts = directories.map((directory) => this.#look(directory)?.models ?? NONE_AT_REST);
    const join = this.#joined.get(entry.id) ?? createMemo<readonly Model[]>();
    this.#joined.set(entry.id, join);
    return join(parts, () => (parts.some(({ length }) => length > 0) ? parts.flat() : NONE_AT_REST));
  }

  /**
   * Models of products that are not running, by store. Each directory belongs to only one store. Reads
   * directories that are due, for about `budgetMs`. Returns undefined until every directory was read once.
   * Returns the same array while nothing changes.
   */
  stores(running: ReadonlySet<string>, budgetMs: number): Store[] | undefined {
    this.#isStarted ||= budgetMs > 0;
    const { places } = this.#layout();
    const { catalogue, homes, elapsed, moved } = this.#deps;
    const last = this.#reported;
    if (last?.running === running && last.places === places && elapsed() < last.untilMs) return last.stores;
    const ofRunning = keysOf(catalogue, homes(), this.#moved(), running);
    const idle = places.filter((place) => !ofRunning.has(keyOf(place)));
    this.#readDue(idle, elapsed() + budgetMs);
    const found = idle.flatMap((place) => {
      const known = this.#seen.get(keyOf(place));
      return known ? [{ ...place, ...known }] : [];
    });
    this.#reported = undefined;
    const isComplete = found.length === idle.length && moved?.isWaiting() !== true;
    this.#wasComplete ||= isComplete;
    if (!this.#wasComplete) return undefined;
    const inputs = found.flatMap((one) => (one.models.length > 0 ? [keyOf(one), one.models] : []));
    const untilMs = Math.min(...found.map(({ nextAtMs }) => nextAtMs));
    const now = this.#grouped(inputs, () => storesOf(found));
    if (isComplete) this.#reported = { ...now, running, places, untilMs };
    return now.stores;
  }

  /**
   * Models in those parts of the shared Hugging Face cache that have been read. Engines load models from this
   * cache, so these descriptions add missing properties to the engines' models.
   */
  cached(): readonly Model[] {
    const parts = this.#layout().shared.flatMap((place) => this.#seen.get(keyOf(place))?.models ?? []);
    return this.#flattened(parts, () => parts);
  }

  /** Models with a known size in all directories read so far. */
  onDisk(): readonly ModelOnDisk[] {
    const parts = [...this.#seen.values()].map(({ models }) => models).filter(({ length }) => length > 0);
    return this.#sized(parts, () =>
      parts
        .flat()
        .flatMap(({ name, sizeBytes, format = "unknown" }) =>
          sizeBytes ? [{ name, sizeBytes, format }] : [],
        ),
    );
  }

  /** Reports the number of models read so far, and what could not be read. */
  report(): Collector {
    return reportOf([...this.#seen.values()], this.#reported, this.#deps.moved?.gaps());
  }

  /** True while a directory is being read, or if the time budget ended before every due directory was read. */
  isWaiting(): boolean {
    return this.#reported === undefined || this.#reading.size > 0 || this.#deps.moved?.isWaiting() === true;
  }

  #moved(): readonly MovedDirectory[] {
    return (this.#isStarted ? this.#deps.moved?.directories() : undefined) ?? NONE_MOVED;
  }

  /** All directories to read. Discards results of directories that are no longer in the list. */
  #layout(): { places: Place[]; shared: Place[] } {
    const homes = this.#deps.homes();
    const moved = this.#moved();
    return this.#places([homes, moved], () => {
      const places = placesOf(this.#deps.catalogue, homes, moved);
      const keys = new Set(places.map(keyOf));
      for (const key of this.#seen.keys()) if (!keys.has(key)) this.#seen.delete(key);
      return { places, shared: places.filter(({ store }) => store === HUGGING_FACE) };
    });
  }

  #readDue(places: readonly Place[], endMs: number): void {
    for (const place of places) {
      if (this.#deps.elapsed() >= endMs) return;
      this.#look(place);
    }
  }

  /** Starts to read the directory if a read is due. Returns the last result, or undefined before the first result. */
  #look(place: HomeDirectory): Seen | undefined {
    const key = keyOf(place);
    const isDue = (this.#seen.get(key)?.nextAtMs ?? 0) <= this.#deps.elapsed();
    if (isDue && !this.#reading.has(key)) {
      this.#reading.add(key);
      this.#deps.directories(place, (outcome) => {
        this.#reading.delete(key);
        this.#keep(key, outcome);
      });
    }
    return this.#seen.get(key);
  }

  #keep(key: string, outcome: ReadOutcome<ReadAnswers["directory"]>): void {
    const before = this.#seen.get(key);
    const isUnanswered = "miss" in outcome;
    const { models, gaps } = isUnanswered
      ? { models: before?.models ?? [], gaps: before?.gaps ?? { cut: 0, unreadable: 0 } }
      : outcome.value;
    const isSame = before !== undefined && isDeepStrictEqual(before.models, models);
    const nextAtMs = this.#deps.elapsed() + (isUnanswered ? UNANSWERED_MS : REFRESH_MS);
    this.#seen.set(key, { models: isSame ? before.models : models, gaps, isUnanswered, nextAtMs });
  }
}

/** Stores and models up to the limits of a heartbeat, and the number of models left out. */
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

/** @param reported Absent until every directory was read once. */
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
      ? [`${unanswered} model directories not read: their file system does not respond`]
      : []),
    ...(unreadable > 0 ? [`could not read ${unreadable} model files or directories`] : []),
    ...(cut > 0 ? [`${cut} model directories too large or too deep to read completely`] : []),
    ...(foreign > 0
      ? [`${foreign} model directories not read: a setting of one user names a directory of another user`]
      : []),
    ...(unreadSettings > 0 ? [`could not read ${unreadSettings} settings of model stores`] : []),
    ...(left > 0 ? [`${left} models on disk left out`] : []),
  ];
  if (problems.length > 0) return { name: "at-rest", status: "partial", detail: problems.join("; ") };
  return {
    name: "at-rest",
    status: "ok",
    detail: `${sum(({ models }) => models.length)} models on disk${reported ? "" : " so far"}`,
  };
}
