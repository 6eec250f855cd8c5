import { isDeepStrictEqual } from "node:util";
import type { Reader } from "../reader/file-reader.ts";
import type { ModelDirectory } from "../reader/read-request.ts";
import type { ProcessFacts } from "../system/host.ts";
import { HUGGING_FACE, type MovedDirectory } from "./store-places.ts";
import type { Settings, SettingsSource } from "./store-settings.ts";
import { SYSTEM_UNITS, USER_UNITS } from "./systemd-units.ts";

/** Interval in ms between two reads of the settings. Model directories are read at the same interval. */
const REFRESH_MS = 600_000;
const UNANSWERED_MS = 30_000;
/**
 * Maximum number of engines whose environment is read. Ordinary hosts run far fewer engines, but an attacker
 * can fake many.
 */
const PROCESSES_MAX = 64;

/** Files with environment variables for all users (pam_env(8), environment.d(5)). */
const SYSTEM_FILES = [
  "/etc/environment",
  "/usr/lib/environment.d",
  "/run/environment.d",
  "/etc/environment.d",
];

const LAYOUTS: Readonly<Record<MovedDirectory["movedStore"], ModelDirectory["layout"]>> = {
  ollama: "ollama",
  [HUGGING_FACE.id]: "huggingface",
  "lm-studio": "files",
  "llama-cpp": "files",
};

type Deps = {
  reader: Reader;
  homes: () => readonly string[];
  elapsed: () => number;
  platform: string;
  procRoot: string;
};

/** A source of settings. The key of a process differs from the key of a later process with the same pid. */
type Source = { key: string; request: SettingsSource };
type Kept = { source: Source; settings?: Settings; isUnanswered: boolean; nextAtMs: number };

/**
 * Model directories named by settings: unit files, environment files, LM Studio's settings, and environment
 * variables of running engines. The reader process reads all these sources, because most belong to users.
 */
export class MovedStores {
  readonly #deps: Deps;
  readonly #isLinux: boolean;
  readonly #kept = new Map<string, Kept>();
  readonly #reading = new Set<string>();
  #engines: readonly ProcessFacts[] = [];
  #homes: readonly string[] | undefined;
  #directories: readonly MovedDirectory[] = [];

  constructor(deps: Deps) {
    this.#deps = deps;
    this.#isLinux = deps.platform === "linux";
  }

  /** Model directories named by the settings read so far. Returns the same array while nothing changes. */
  directories(): readonly MovedDirectory[] {
    const homes = this.#deps.homes();
    if (this.#homes !== homes) {
      this.#homes = homes;
      this.#updateSources();
    }
    for (const one of this.#kept.values()) if (one.nextAtMs <= this.#deps.elapsed()) this.#read(one);
    return this.#directories;
  }

  /** Sets the running engines. Reads the environment of each engine once. */
  sight(running: readonly ProcessFacts[]): void {
    if (!this.#isLinux) return;
    const readable = running.filter(
      // Paths inside a container are not paths of this host.
      ({ uid, container, executable }) =>
        uid !== undefined && container === undefined && executable !== undefined,
    );
    if (isDeepStrictEqual(readable.map(keyOf), this.#engines.map(keyOf))) return;
    this.#engines = readable;
    this.#updateSources();
  }

  /** True until every source was read once. */
  isWaiting(): boolean {
    return this.#homes === undefined || [...this.#kept.values()].some(({ nextAtMs }) => nextAtMs === 0);
  }

  /**
   * Number of items that could not be read, were dropped because of a limit, or are on a file system that did
   * not respond.
   */
  gaps(): { unreadable: number; cut: number; unanswered: number } {
    const sum = (of: (one: Kept) => number) =>
      [...this.#kept.values()].reduce((all, one) => all + of(one), 0);
    return {
      unreadable: sum(({ settings }) => settings?.unreadable ?? 0),
      cut: sum(({ settings }) => settings?.cut ?? 0) + Math.max(0, this.#engines.length - PROCESSES_MAX),
      unanswered: sum(({ isUnanswered }) => (isUnanswered ? 1 : 0)),
    };
  }

  /** Discards sources that no longer exist, and schedules a read of new sources. */
  #updateSources(): void {
    const sources = new Map(this.#currentSources().map((source) => [source.key, source]));
    for (const key of this.#kept.keys()) if (!sources.has(key)) this.#kept.delete(key);
    for (const [key, source] of sources) {
      if (!this.#kept.has(key)) this.#kept.set(key, { source, isUnanswered: false, nextAtMs: 0 });
    }
    this.#updateDirectories();
  }

  #currentSources(): Source[] {
    const userUnits = this.#isLinux ? USER_UNITS : [];
    const system: Source = {
      key: "/etc",
      request: { of: "system", units: SYSTEM_UNITS, userUnits, files: SYSTEM_FILES },
    };
    const ofHomes = (this.#homes ?? []).map(
      (home): Source => ({ key: home, request: { of: "home", home, userUnits } }),
    );
    const ofEngines = this.#engines.slice(0, PROCESSES_MAX).map(
      ({ pid, uid, key }): Source => ({
        key: `process ${key}`,
        request: { of: "process", directory: `${this.#deps.procRoot}/${pid}`, uid: uid! },
      }),
    );
    return [...(this.#isLinux ? [system] : []), ...ofHomes, ...ofEngines];
  }

  #read(one: Kept): void {
    const { key, request } = one.source;
    if (this.#reading.has(key)) return;
    this.#reading.add(key);
    void this.#deps.reader.ask({ op: "settings", ...request }, key).then((outcome) => {
      this.#reading.delete(key);
      if (this.#kept.get(key) !== one) return;
      one.isUnanswered = "miss" in outcome;
      if ("value" in outcome) one.settings = outcome.value;
      one.nextAtMs = this.#deps.elapsed() + intervalMs(one);
      this.#updateDirectories();
    });
  }

  #updateDirectories(): void {
    const now = directoriesOf([...this.#kept.values()].flatMap(({ settings }) => settings?.moved ?? []));
    if (!isDeepStrictEqual(now, this.#directories)) this.#directories = now;
  }
}

/**
 * Lists each directory once. If root names a directory, the directory may belong to any user. If only users
 * name a directory, it must belong to one of these users. The list of owners contains all of these users, so
 * that no user can hide the directory from another user.
 */
function directoriesOf(moved: Settings["moved"]): MovedDirectory[] {
  const found = new Map<string, MovedDirectory>();
  for (const { store, path, ownerUid } of moved) {
    const key = `${store} ${path}`;
    const before = found.get(key);
    const isNamedByRoot = ownerUid === undefined || (before !== undefined && before.ownerUids === undefined);
    const ownerUids = [...new Set([...(before?.ownerUids ?? []), ownerUid ?? 0])].sort((a, b) => a - b);
    found.set(key, {
      movedStore: store,
      path,
      layout: LAYOUTS[store],
      home: path,
      ...(!isNamedByRoot && { ownerUids }),
    });
  }
  return [...found.values()];
}

/** Delay in ms until the next read. The environment of a process does not change, so it is read only once. */
function intervalMs({ source, isUnanswered }: Kept): number {
  if (isUnanswered) return UNANSWERED_MS;
  return source.request.of === "process" ? Number.POSITIVE_INFINITY : REFRESH_MS;
}

const keyOf = ({ key }: ProcessFacts): string => key;
