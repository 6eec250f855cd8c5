import { isDeepStrictEqual } from "node:util";
import type { Reader } from "../reader/file-reader.ts";
import type { ModelDirectory } from "../reader/read-request.ts";
import type { ProcessFacts } from "../system/host.ts";
import { HUGGING_FACE, type MovedDirectory } from "./store-places.ts";
import type { Settings, SettingsSource } from "./store-settings.ts";
import { SYSTEM_UNITS, USER_UNITS } from "./systemd-units.ts";

/** Settings are read this often, like the directories they name. */
const REFRESH_MS = 600_000;
const UNANSWERED_MS = 30_000;
/** Limit on engines whose environment is read. Ordinary hosts run far fewer; an attacker could fake more. */
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

export type MovedStores = {
  /** Model directories named by settings that were read so far. The same array while nothing changes. */
  directories(): readonly MovedDirectory[];
  /** Running engines. The environment of each is read once. */
  sight(engines: readonly ProcessFacts[]): void;
  /** True until every source was read once. */
  isWaiting(): boolean;
  /** What could not be read. */
  gaps(): { unreadable: number; cut: number; unanswered: number };
};

/** With the key of a process, whose number may become that of another one. */
type Source = { key: string; request: SettingsSource };
type Kept = { source: Source; settings?: Settings; isUnanswered: boolean; nextAtMs: number };

/**
 * Stores that settings move: unit files, environment files, LM Studio's own settings, and the environment of engines
 * that run. The reader process reads them all, since most belong to users.
 */
export function createMovedStores(deps: {
  reader: Reader;
  homes: () => readonly string[];
  elapsed: () => number;
  platform: string;
  procRoot: string;
}): MovedStores {
  const kept = new Map<string, Kept>();
  const reading = new Set<string>();
  let engines: readonly ProcessFacts[] = [];
  let homes: readonly string[] | undefined;
  let directories: readonly MovedDirectory[] = [];
  const isLinux = deps.platform === "linux";

  return {
    directories: () => {
      if (homes !== deps.homes()) {
        homes = deps.homes();
        renew();
      }
      for (const one of kept.values()) if (one.nextAtMs <= deps.elapsed()) ask(one);
      return directories;
    },
    sight: (running) => {
      if (!isLinux) return;
      const readable = running.filter(
        // Paths of a container are not those of this host.
        ({ uid, container, executable }) =>
          uid !== undefined && container === undefined && executable !== undefined,
      );
      if (isDeepStrictEqual(readable.map(keyOf), engines.map(keyOf))) return;
      engines = readable;
      renew();
    },
    isWaiting: () => homes === undefined || [...kept.values()].some(({ nextAtMs }) => nextAtMs === 0),
    gaps: () => {
      const sum = (of: (one: Kept) => number) => [...kept.values()].reduce((all, one) => all + of(one), 0);
      return {
        unreadable: sum(({ settings }) => settings?.unreadable ?? 0),
        cut: sum(({ settings }) => settings?.cut ?? 0) + Math.max(0, engines.length - PROCESSES_MAX),
        unanswered: sum(({ isUnanswered }) => (isUnanswered ? 1 : 0)),
      };
    },
  };

  /** Those that are gone are forgotten, those that are new are read at once. */
  function renew(): void {
    const sources = new Map(sourcesNow().map((source) => [source.key, source]));
    for (const key of kept.keys()) if (!sources.has(key)) kept.delete(key);
    for (const [key, source] of sources) {
      if (!kept.has(key)) kept.set(key, { source, isUnanswered: false, nextAtMs: 0 });
    }
    join();
  }

  function sourcesNow(): Source[] {
    const userUnits = isLinux ? USER_UNITS : [];
    const system: Source = {
      key: "/etc",
      request: { of: "system", units: SYSTEM_UNITS, userUnits, files: SYSTEM_FILES },
    };
    const ofHomes = (homes ?? []).map(
      (home): Source => ({ key: home, request: { of: "home", home, userUnits } }),
    );
    const ofEngines = engines.slice(0, PROCESSES_MAX).map(({ pid, uid, key }): Source => {
      return {
        key: `process ${key}`,
        request: { of: "process", directory: `${deps.procRoot}/${pid}`, uid: uid! },
      };
    });
    return [...(isLinux ? [system] : []), ...ofHomes, ...ofEngines];
  }

  function ask(one: Kept): void {
    const { key, request } = one.source;
    if (reading.has(key)) return;
    reading.add(key);
    void deps.reader.ask({ op: "settings", ...request }, key).then((outcome) => {
      reading.delete(key);
      if (kept.get(key) !== one) return;
      one.isUnanswered = "miss" in outcome;
      if ("value" in outcome) one.settings = outcome.value;
      one.nextAtMs = deps.elapsed() + waitMs(one);
      join();
    });
  }

  function join(): void {
    const found = new Map<string, MovedDirectory>();
    for (const { settings } of kept.values()) {
      for (const { store, path, ownerUid } of settings?.moved ?? []) {
        const key = `${store} ${path}`;
        const before = found.get(key);
        // What root names may belong to anybody. Users who name the same directory do not hide it from each other.
        const isOpen = ownerUid === undefined || (before !== undefined && before.ownerUids === undefined);
        const ownerUids = [...new Set([...(before?.ownerUids ?? []), ownerUid ?? 0])].sort((a, b) => a - b);
        found.set(key, {
          movedStore: store,
          path,
          layout: LAYOUTS[store],
          home: path,
          ...(!isOpen && { ownerUids }),
        });
      }
    }
    const now = [...found.values()];
    if (!isDeepStrictEqual(now, directories)) directories = now;
  }
}

/** The environment of a process stays as it was at its start. */
function waitMs({ source, isUnanswered }: Kept): number {
  if (isUnanswered) return UNANSWERED_MS;
  return source.request.of === "process" ? Number.POSITIVE_INFINITY : REFRESH_MS;
}

const keyOf = ({ key }: ProcessFacts): string => key;
