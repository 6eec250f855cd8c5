import type { Reader } from "../reader/file-reader.ts";
import type { ReadOutcome, Weights } from "../reader/read-request.ts";
import { attempt, type Files, optional } from "../system/files.ts";
import type { WeightFile } from "../system/host.ts";
import type { FileSystem, Mounts } from "../system/mounts.ts";
import type { Mapping } from "../system/process-maps.ts";
import { weightsIn } from "./read-weights.ts";

/**
 * `null`: no weights. `waiting`: the reader was asked. `unreadable`: neither its path nor its mapping leads to the file.
 * `unanswered`: its file system does not answer; `type` says which kind it is.
 */
export type Verdict =
  | { is: "weights"; file: WeightFile }
  | { is: "nothing" | "waiting" | "unreadable" }
  | { is: "unanswered"; type: string };

/** A process as procfs shows it: `directory` is its own, or that of a thread where its first thread has ended. */
export type Shown = { pid: number; directory: string };

export type WeightFinder = {
  /** What a mapping is. Asked again later, it may be known by then. */
  mapped(process: Shown, mapping: Mapping): Verdict;
  /** What an open file is; undefined for one that is too small or no regular file. */
  open(process: Shown, descriptor: string, path: string): Verdict;
};

const KNOWN_FILES_MAX = 8192;
const MAPPED_BYTES_MIN = 24;
export const OPEN_BYTES_MIN = 64 * 1024 * 1024;
/** What could not be read is tried again: rights change, and a file may have been replaced meanwhile. */
const UNREADABLE_MS = 60_000;

const NOTHING: Verdict = { is: "nothing" };
/** It is mapped no more. The same file may be mapped elsewhere. */
const GONE: Verdict = { is: "nothing" };
const WAITING: Verdict = { is: "waiting" };
const UNREADABLE: Verdict = { is: "unreadable" };

/** `untilMs`: when to look again; absent for what stays as it is. */
type Known = { verdict: Verdict; untilMs?: number };

/**
 * Looks into files that processes map or have open. Only local file systems are read here and now; every other one is
 * read by the reader process, because it may never answer. A file is read once, whichever processes map it.
 */
export function createWeightFinder(deps: {
  files: Files;
  mounts: Mounts;
  reader: Reader;
  elapsed: () => number;
}): WeightFinder {
  const { files, mounts, reader } = deps;
  /** By path and then identity: what nearly every process maps is looked up without a key of its own. */
  const known = new Map<string, Map<string, Known>>();

  return {
    mapped: (process, mapping) =>
      look(mapping.path, keyOf(mapping), (keep) => {
        const device = mapping.identity.slice(0, mapping.identity.indexOf(" "));
        const inode = mapping.identity.slice(device.length + 1);
        const system = mounts.ofDevice(process.pid, device);
        const path = mapping.path.replace(/ \(deleted\)$/, "");
        const finish = (outcome: ReadOutcome<Weights | null>) => verdictOf(outcome, path, "mapped", system);
        if (system.class === "kernel") return keep(NOTHING);
        const request = {
          op: "weights",
          paths: namesOf(process, mapping, system),
          // An overlay and btrfs number their files otherwise in stat(2).
          ...(system.type !== "overlay" && system.type !== "btrfs" && { inode }),
          sizeBytesMin: MAPPED_BYTES_MIN,
          parts: mapping.parts,
        } as const;
        if (system.class === "local") return keep(finish(weightsIn(files, request.paths, request)));
        if (!reader.isAnswering(device)) return keep({ is: "unanswered", type: system.type });
        void reader.ask(request, device).then((outcome) => keep(finish(outcome)));
        return WAITING;
      }),
    open: (process, descriptor, path) => {
      const name = `${process.directory}/fd/${descriptor}`;
      const info = optional(() => files.line(`${process.directory}/fdinfo/${descriptor}`)) ?? "";
      const mountId = Number(/^mnt_id:\s*(\d+)$/m.exec(info)?.[1] ?? Number.NaN);
      const system = mounts.ofMount(process.pid, mountId);
      const finish = (outcome: ReadOutcome<Weights | null>) => verdictOf(outcome, path, "open", system);
      const request = { op: "weights", paths: [name], sizeBytesMin: OPEN_BYTES_MIN } as const;
      if (system.class === "kernel") return NOTHING;
      if (system.class === "local") return finish(weightsIn(files, request.paths, request));
      return look(path, `${process.pid} ${descriptor} ${mountId}`, (keep) => {
        const place = `mount ${mountId}`;
        if (!reader.isAnswering(place)) return keep({ is: "unanswered", type: system.type });
        void reader.ask(request, place).then((outcome) => keep(finish(outcome)));
        return WAITING;
      });
    },
  };

  /** What is known of a file, or what `find` says of it; `find` keeps its verdict, now or when the reader answers. */
  function look(
    path: string,
    identity: string,
    find: (keep: (verdict: Verdict) => Verdict) => Verdict,
  ): Verdict {
    const namesakes = known.get(path) ?? new Map<string, Known>();
    const before = namesakes.get(identity);
    if (before && (before.untilMs ?? Number.POSITIVE_INFINITY) > deps.elapsed()) return before.verdict;
    if (!known.has(path)) {
      if (known.size > KNOWN_FILES_MAX) known.clear();
      known.set(path, namesakes);
    }
    if (namesakes.size > KNOWN_FILES_MAX) namesakes.clear();
    const keep = (verdict: Verdict): Verdict => {
      const untilMs = untilOf(verdict);
      namesakes.set(identity, untilMs === undefined ? { verdict } : { verdict, untilMs });
      return verdict;
    };
    namesakes.set(identity, { verdict: WAITING });
    return find(keep);
  }

  /** The reader itself says when a silent file system is asked again. */
  function untilOf(verdict: Verdict): number | undefined {
    if (verdict.is === "unreadable") return deps.elapsed() + UNREADABLE_MS;
    return verdict.is === "unanswered" || verdict === GONE ? deps.elapsed() : undefined;
  }

  /**
   * Names of a mapped file. The mapping itself leads to the file whatever was mounted over its path, but needs
   * CAP_CHECKPOINT_RESTORE (proc_pid_map_files(5)); then its path inside the process's own root, if that leads through
   * local file systems only.
   */
  function namesOf({ pid, directory }: Shown, mapping: Mapping, system: FileSystem): string[] {
    const byMapping = `${directory}/map_files/${mapping.range}`;
    if (mapping.path.endsWith(" (deleted)") || mapping.path.startsWith("/memfd:")) return [byMapping];
    if (system.class === "local" && mounts.ofPath(mapping.path, pid).class === "remote") return [byMapping];
    return [byMapping, `${directory}/root${mapping.path}`];
  }
}

/** What is in a file is known once; a part of it that was not mapped before is looked at too. */
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

/** Names of the open files of a process; undefined without the right to see them. */
export function descriptorsOf(files: Files, directory: string): string[] | undefined {
  const listing = attempt(() => files.list(`${directory}/fd`));
  return "value" in listing ? listing.value : listing.miss === "gone" ? [] : undefined;
}
