import type { Reader } from "../reader/file-reader.ts";
import type { ReadOutcome, Weights } from "../reader/read-request.ts";
import { attempt, type Files, optional } from "../system/files.ts";
import type { WeightFile } from "../system/host.ts";
import type { FileSystem, Mounts } from "../system/mounts.ts";
import type { Mapping } from "../system/process-maps.ts";
import { weightsIn } from "./read-weights.ts";

/**
 * Result of checking a file. `nothing`: the file contains no weights, or it is no longer mapped. `waiting`: a
 * request to the reader is in progress. `unreadable`: neither the mapping nor the path is readable.
 * `unanswered`: the file system, of kind `type`, does not respond.
 */
export type Verdict =
  | { is: "weights"; file: WeightFile }
  | { is: "nothing" | "waiting" | "unreadable" }
  | { is: "unanswered"; type: string };

/**
 * A process as shown in procfs. `directory` is `/proc/PID`, or the directory of a live thread if the first
 * thread has ended.
 */
export type Shown = { pid: number; directory: string };

export type WeightFinder = {
  /** Checks a mapped file. If the reader process checks the file, a later call returns the result. */
  mapped(process: Shown, mapping: Mapping): Verdict;
  /** Checks an open file. Returns `nothing` if the file is too small or not a regular file. */
  open(process: Shown, descriptor: string, path: string): Verdict;
};

const KNOWN_FILES_MAX = 8192;
const MAPPED_BYTES_MIN = 24;
export const OPEN_BYTES_MIN = 64 * 1024 * 1024;
/**
 * Pause before an unreadable file is tried again. By then its permissions may have changed, or the file may
 * have been replaced.
 */
const UNREADABLE_MS = 60_000;

const NOTHING: Verdict = { is: "nothing" };
/** Verdict for a file that is no longer mapped. It is not cached, because another process may map the same file. */
const GONE: Verdict = { is: "nothing" };
const WAITING: Verdict = { is: "waiting" };
const UNREADABLE: Verdict = { is: "unreadable" };

/** A cached verdict, which expires at `untilMs`. Without `untilMs` it never expires. */
type Cached = { verdict: Verdict; untilMs?: number };

/** Stores a verdict in the cache and returns it. */
type Keep = (verdict: Verdict) => Verdict;

type Dependencies = { files: Files; mounts: Mounts; reader: Reader; elapsed: () => number };

/**
 * Recognises weights in files that processes map or have open. Files on local file systems are read
 * immediately. The reader process reads all other files, because their file systems may never respond. Each
 * file is read once for all processes.
 */
export function createWeightFinder(deps: Dependencies): WeightFinder {
  const cache = new VerdictCache(deps.elapsed);
  return {
    mapped: (process, mapping) =>
      cache.lookUp(mapping.path, keyOf(mapping), (keep) => checkMapped(deps, process, mapping, keep)),
    open: (process, descriptor, path) => checkOpen(deps, cache, process, descriptor, path),
  };
}

function checkMapped(
  { files, mounts, reader }: Dependencies,
  process: Shown,
  mapping: Mapping,
  keep: Keep,
): Verdict {
  const device = mapping.identity.slice(0, mapping.identity.indexOf(" "));
  const inode = mapping.identity.slice(device.length + 1);
  const system = mounts.ofDevice(process.pid, device);
  const path = mapping.path.replace(/ \(deleted\)$/, "");
  const finish = (outcome: ReadOutcome<Weights | null>) => verdictOf(outcome, path, "mapped", system);
  if (system.class === "kernel") return keep(NOTHING);
  const request = {
    op: "weights",
    paths: pathsOf(mounts, process, mapping, system),
    // On overlay and btrfs, stat(2) returns other inode numbers than the memory maps.
    ...(system.type !== "overlay" && system.type !== "btrfs" && { inode }),
    sizeBytesMin: MAPPED_BYTES_MIN,
    parts: mapping.parts,
  } as const;
  if (system.class === "local") return keep(finish(weightsIn(files, request.paths, request)));
  if (!reader.isAnswering(device)) return keep({ is: "unanswered", type: system.type });
  void reader.ask(request, device).then((outcome) => keep(finish(outcome)));
  return WAITING;
}

function checkOpen(
  { files, mounts, reader }: Dependencies,
  cache: VerdictCache,
  process: Shown,
  descriptor: string,
  path: string,
): Verdict {
  const fdinfo = optional(() => files.line(`${process.directory}/fdinfo/${descriptor}`)) ?? "";
  const mountId = Number(/^mnt_id:\s*(\d+)$/m.exec(fdinfo)?.[1] ?? Number.NaN);
  const system = mounts.ofMount(process.pid, mountId);
  const finish = (outcome: ReadOutcome<Weights | null>) => verdictOf(outcome, path, "open", system);
  const paths = [`${process.directory}/fd/${descriptor}`];
  const request = { op: "weights", paths, sizeBytesMin: OPEN_BYTES_MIN } as const;
  if (system.class === "kernel") return NOTHING;
  if (system.class === "local") return finish(weightsIn(files, request.paths, request));
  return cache.lookUp(path, `${process.pid} ${descriptor} ${mountId}`, (keep) => {
    const place = `mount ${mountId}`;
    if (!reader.isAnswering(place)) return keep({ is: "unanswered", type: system.type });
    void reader.ask(request, place).then((outcome) => keep(finish(outcome)));
    return WAITING;
  });
}

/**
 * Caches verdicts by path and then by file identity. Most paths have one identity, so most lookups need no
 * combined key.
 */
class VerdictCache {
  readonly #known = new Map<string, Map<string, Cached>>();
  readonly #elapsed: () => number;

  constructor(elapsed: () => number) {
    this.#elapsed = elapsed;
  }

  /**
   * Returns the cached verdict, or calls `check`. `check` stores its verdict immediately or when the reader
   * responds.
   */
  lookUp(path: string, identity: string, check: (keep: Keep) => Verdict): Verdict {
    const namesakes = this.#known.get(path) ?? new Map<string, Cached>();
    const before = namesakes.get(identity);
    if (before && (before.untilMs === undefined || before.untilMs > this.#elapsed())) return before.verdict;
    if (!this.#known.has(path)) {
      if (this.#known.size > KNOWN_FILES_MAX) this.#known.clear();
      this.#known.set(path, namesakes);
    }
    if (namesakes.size > KNOWN_FILES_MAX) namesakes.clear();
    namesakes.set(identity, { verdict: WAITING });
    return check((verdict) => {
      const untilMs = this.#untilOf(verdict);
      namesakes.set(identity, untilMs === undefined ? { verdict } : { verdict, untilMs });
      return verdict;
    });
  }

  /**
   * The verdict on an unanswered request expires immediately, because the reader itself limits retries on a
   * file system that does not respond.
   */
  #untilOf(verdict: Verdict): number | undefined {
    if (verdict.is === "unreadable") return this.#elapsed() + UNREADABLE_MS;
    return verdict.is === "unanswered" || verdict === GONE ? this.#elapsed() : undefined;
  }
}

/**
 * Paths of a mapped file. The first path, in `map_files`, leads to the file even if another file system is
 * mounted over the file's path. It needs CAP_CHECKPOINT_RESTORE (proc_pid_map_files(5)). The second path is
 * inside the root directory of the process. The second path is used only if it does not cross a remote file
 * system.
 */
function pathsOf(mounts: Mounts, { pid, directory }: Shown, mapping: Mapping, system: FileSystem): string[] {
  const byMapping = `${directory}/map_files/${mapping.range}`;
  if (mapping.path.endsWith(" (deleted)") || mapping.path.startsWith("/memfd:")) return [byMapping];
  if (system.class === "local" && mounts.ofPath(mapping.path, pid).class === "remote") return [byMapping];
  return [byMapping, `${directory}/root${mapping.path}`];
}

/** Cache key of a mapped file: its identity and its mapped parts. A newly mapped part has to be checked too. */
const keyOf = ({ identity, parts }: Mapping): string =>
  parts ? `${identity} ${parts.map(({ offset, length }) => `${offset}+${length}`).join()}` : identity;

function verdictOf(
  outcome: ReadOutcome<Weights | null>,
  path: string,
  how: WeightFile["how"],
  { type }: FileSystem,
): Verdict {
  if ("value" in outcome)
    return outcome.value === null ? NOTHING : { is: "weights", file: { path, how, ...outcome.value } };
  if (outcome.miss === "gone") return GONE;
  return outcome.miss === "unanswered" ? { is: "unanswered", type } : UNREADABLE;
}

/** Names of the open file descriptors of a process. Undefined if they are not readable. */
export function descriptorsOf(files: Files, directory: string): string[] | undefined {
  const listing = attempt(() => files.list(`${directory}/fd`));
  return "value" in listing ? listing.value : listing.miss === "gone" ? [] : undefined;
}
