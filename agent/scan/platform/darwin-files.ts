import type { Collector } from "../../../shared/wire/heartbeat.ts";
import { createWeightReader } from "../models/weights.ts";
import type { Files } from "../system/files.ts";
import type { ProcessFacts, WeightFile } from "../system/host.ts";
import type { Run } from "../system/run-tool.ts";
import { LIMITS, LOCALE, LSOF } from "./darwin-tools.ts";
import { type OpenFile, parseLsof } from "./lsof.ts";

/** Maximum number of processes whose files are listed in one scan, newest first. */
const FILES_PIDS_MAX = 64;
/** Growth of a process in bytes after which its files are listed again, because it may have loaded a model. */
const GROWTH_BYTES_MIN = 32 * 1024 * 1024;
/** System directories. They are on a signed and sealed volume. */
const SYSTEM = /^\/(?:System|usr\/lib|usr\/libexec|usr\/share|private\/var\/db|dev)\//;

/** Open and mapped files of one process. */
type Held = {
  key: string;
  residentBytes: number;
  weights: WeightFile[];
  unreadable: number;
  libraries: string[];
  /** Working directory at the time when the files were listed. */
  directory?: string;
};

/** Model weights and libraries in the open and mapped files of macOS processes, from lsof(8). */
export class DarwinFiles {
  readonly #deps: { run: Run; selfPid: number; isLibraryWanted: (path: string) => boolean };
  readonly #readWeights: ReturnType<typeof createWeightReader>;
  readonly #held = new Map<number, Held>();
  readonly #sizes = new Map<number, number>();

  constructor(deps: {
    files: Files;
    run: Run;
    selfPid: number;
    isLibraryWanted: (path: string) => boolean;
  }) {
    this.#deps = deps;
    this.#readWeights = createWeightReader(deps.files);
  }

  /**
   * Records the resident size of a process. Its files are listed again if the process is new or has grown by
   * {@link GROWTH_BYTES_MIN}.
   */
  noteSize(pid: number, key: string, residentBytes: number): void {
    const before = this.#held.get(pid);
    const grew = before !== undefined && residentBytes - before.residentBytes >= GROWTH_BYTES_MIN;
    if (before?.key !== key || grew) this.#held.delete(pid);
    this.#sizes.set(pid, residentBytes);
  }

  forgetGone(alive: ReadonlyMap<number, unknown>): void {
    for (const pid of this.#held.keys()) if (!alive.has(pid)) this.#held.delete(pid);
  }

  /** Lists the files of processes that are due. Returns the collectors `weights` and `libraries`. */
  async read(processes: ReadonlyMap<number, ProcessFacts>, isRoot: boolean): Promise<Collector[]> {
    const { run, selfPid } = this.#deps;
    const unread = [...processes.keys()].filter((pid) => !this.#held.has(pid) && pid !== selfPid);
    const pids = unread.slice(-FILES_PIDS_MAX);
    if (pids.length === 0) return this.#report(0, isRoot);
    try {
      const command = [...LOCALE, LSOF, "-nP", "-a", "-p", pids.join(","), "-F", "pftn"];
      const output = await run(command, { ...LIMITS, codes: [0, 1] });
      const byPid = Map.groupBy(parseLsof(output), ({ pid }) => pid);
      for (const pid of pids)
        this.#held.set(pid, this.#toHeld(pid, processes.get(pid)?.key ?? "", byPid.get(pid) ?? []));
      return this.#report(unread.length - pids.length, isRoot);
    } catch {
      const failed = { status: "failed", detail: "lsof failed" } as const;
      return [
        { name: "weights", ...failed },
        { name: "libraries", ...failed },
      ];
    }
  }

  weights(): Map<number, readonly WeightFile[]> {
    return this.#pick((one) => one.weights);
  }

  libraries(): Map<number, readonly string[]> {
    return this.#pick((one) => one.libraries);
  }

  workingDirectory(pid: number): string | undefined {
    return this.#held.get(pid)?.directory;
  }

  #toHeld(pid: number, key: string, open: readonly OpenFile[]): Held {
    const paths = open.filter(
      ({ type, name }) => type === "REG" && name.startsWith("/") && !SYSTEM.test(name),
    );
    const libraries = paths.map(({ name }) => name).filter(this.#deps.isLibraryWanted);
    let unreadable = 0;
    const weights = paths.flatMap(({ name, descriptor }) => {
      const found = this.#readWeights(name);
      if (found === "unreadable") unreadable += 1;
      return found && found !== "unreadable"
        ? [{ ...found, path: name, how: /^\d/.test(descriptor) ? ("open" as const) : ("mapped" as const) }]
        : [];
    });
    const directory = open.find(({ descriptor }) => descriptor === "cwd")?.name;
    return {
      key,
      residentBytes: this.#sizes.get(pid) ?? 0,
      weights,
      unreadable,
      libraries,
      ...(directory?.startsWith("/") && { directory }),
    };
  }

  #report(left: number, isRoot: boolean): Collector[] {
    const unreadable = [...this.#held.values()].reduce((sum, one) => sum + one.unreadable, 0);
    const problems = [
      ...(unreadable > 0 ? [`could not read ${unreadable} open or mapped files`] : []),
      ...(isRoot ? [] : ["files of other users are hidden without root"]),
      ...(left > 0 ? [`${left} processes wait for the next scan`] : []),
    ];
    const detail = problems.join("; ");
    const names = ["weights", "libraries"];
    return names.map((name) =>
      detail === "" ? { name, status: "ok" } : { name, status: "partial", detail },
    );
  }

  #pick<T>(of: (one: Held) => readonly T[]): Map<number, readonly T[]> {
    return new Map(
      [...this.#held].map(([pid, one]) => [pid, of(one)] as const).filter(([, items]) => items.length > 0),
    );
  }
}
