import type { Collector } from "../../../shared/wire/heartbeat.ts";
import type { Reader } from "../reader/file-reader.ts";
import { type Budget, createBudget } from "../system/cpu-budget.ts";
import { attempt, type Files, optional } from "../system/files.ts";
import { HIDING_DETAIL } from "../system/hidepid.ts";
import type { LinuxProcess } from "../system/linux-process.ts";
import type { Mounts } from "../system/mounts.ts";
import { parseMaps } from "../system/process-maps.ts";
import {
  collectFindings,
  describeUnresolved,
  type FoundInMaps,
  hasFindings,
  type MappedProcess,
  type Unresolved,
} from "./mapped-process.ts";
import { MapsQueue } from "./maps-queue.ts";
import {
  createWeightFinder,
  descriptorsOf,
  OPEN_BYTES_MIN,
  type Verdict,
  type WeightFinder,
} from "./weight-finder.ts";

const MAPS_BYTES_MAX = 8 * 1024 * 1024;
const KNOWN_PATHS_MAX = 8192;
/** Minimum number of processes read per scan, even if these reads exceed the budget. */
const READS_MIN = 8;
/** Number of files of a process that are checked between two checks of the budget. */
const FILES_PER_CHECK = 16;
/** Minimum resident memory in bytes of an engine that reads its weights instead of mapping them. */
const READER_BYTES_MIN = 256 * 1024 * 1024;
const DESCRIPTORS_MAX = 4096;
/** Maximum number of weight files from earlier scans that are kept per process. */
const EARLIER_MAX = 8;
/** Device files that CUDA and ROCm map: NVIDIA devices, AMD's compute driver (kfd) and render nodes. */
const GPU_DEVICE = /^\/dev\/(?:nvidia(?:\d|ctl|-uvm)|kfd|dri\/renderD\d)/;

type Mapped = FoundInMaps & {
  collectors: readonly Collector[];
  /** Descriptions of the work that exceeded the time budget. */
  waiting: readonly string[];
};

export type MappedTable = {
  /**
   * Reads the maps of new and changed processes. `changed`: processes that are new or whose size has changed.
   * Returns the same maps as before while the findings are unchanged.
   */
  read(processes: ReadonlyMap<number, LinuxProcess>, changed: readonly LinuxProcess[]): Promise<Mapped>;
  /** Device number of the file system that contains a process's executable. Undefined if it is unknown. */
  executableDevice(pid: number): string | undefined;
};

type Dependencies = {
  files: Files;
  procRoot: string;
  /** Pid of the agent, which a scan never reports. */
  selfPid: number;
  elapsed: () => number;
  /** Processor time used by this process, in milliseconds. */
  cpuMs: () => number;
  mounts: Mounts;
  reader: Reader;
  /** True for the path of a library named in the catalogue. */
  isWanted: (path: string) => boolean;
  /** True while procfs hides processes of other users. */
  isHiding?: () => boolean;
};

/**
 * Finds weights and libraries in the memory maps of all processes. A process is read when it is new and when
 * the size of its address space has changed, because mapping a model changes that size. The budget is in
 * processor time. On a busy host the reads therefore take longer, but no process is skipped.
 */
export function createMappedTable(deps: Dependencies): MappedTable {
  const table = new LinuxMappedTable(deps);
  return {
    read: (processes, changed) => table.read(processes, changed),
    executableDevice: (pid) => table.executableDevice(pid),
  };
}

class LinuxMappedTable {
  readonly #deps: Dependencies;
  readonly #finder: WeightFinder;
  readonly #known = new Map<number, MappedProcess>();
  readonly #queue = new MapsQueue(this.#known);
  readonly #isWantedPath = new Map<string, boolean>();
  /** Undefined if the maps have changed since the findings were last collected. */
  #found: FoundInMaps | undefined;
  #lastProcesses: ReadonlyMap<number, LinuxProcess> | undefined;

  constructor(deps: Dependencies) {
    this.#deps = deps;
    this.#finder = createWeightFinder(deps);
  }

  async read(
    processes: ReadonlyMap<number, LinuxProcess>,
    changed: readonly LinuxProcess[],
  ): Promise<Mapped> {
    this.#queue.begin(changed, this.#deps.selfPid);
    if (processes !== this.#lastProcesses) this.#forgetGone(processes);
    this.#lastProcesses = processes;
    const budget = createBudget(this.#deps, this.#queue.budgetMs());
    for (const entry of this.#known.values())
      if (entry.unresolved.length > 0) await this.#resolve(entry, budget);
    for (const [at, process] of this.#queue.inOrder().entries()) {
      if ((await budget.isUsedUp()) && at >= READS_MIN) break;
      if (this.#queue.changeOf(process) > 0) await this.#resolve(this.#readMaps(process), budget);
      this.#queue.delete(process.pid);
    }
    this.#found ??= collectFindings(this.#known);
    return { ...this.#found, ...this.#report(processes.size) };
  }

  executableDevice(pid: number): string | undefined {
    return this.#known.get(pid)?.executableDevice;
  }

  #forgetGone(processes: ReadonlyMap<number, LinuxProcess>): void {
    for (const [pid, before] of this.#known) if (processes.get(pid)?.key !== before.key) this.#forget(pid);
    this.#queue.forgetGone(processes);
  }

  #forget(pid: number): void {
    if (hasFindings(this.#known.get(pid))) this.#found = undefined;
    this.#known.delete(pid);
  }

  /** Reads the maps of a process. At first, all files that the process maps are unresolved. */
  #readMaps(process: LinuxProcess): MappedProcess {
    const { pid, key, virtualBytes, directory } = process;
    const before = this.#known.get(pid);
    const entry: MappedProcess = {
      key,
      shown: { pid, directory },
      virtualBytes,
      weights: [],
      libraries: [],
      denied: false,
      unread: 0,
      unresolved: [],
      executableDevice: undefined,
      mapsGpu: false,
      earlier: before?.key === key ? [...before.weights, ...before.earlier].slice(0, EARLIER_MAX) : [],
    };
    const text = attempt(() => this.#deps.files.text(`${directory}/maps`, MAPS_BYTES_MAX));
    if ("value" in text) this.#addMappings(entry, text.value, process);
    else entry.denied = text.miss !== "gone";
    this.#forget(pid);
    if (hasFindings(entry)) this.#found = undefined;
    this.#known.set(pid, entry);
    return entry;
  }

  #addMappings(entry: MappedProcess, maps: string, process: LinuxProcess): void {
    // Every line ends with a newline. If the final newline is missing, the text was truncated at the limit.
    if (maps !== "" && !maps.endsWith("\n")) entry.unread += 1;
    for (const mapping of parseMaps(maps)) {
      if (mapping.executable && this.#isWanted(mapping.path)) entry.libraries.push(mapping.path);
      if (mapping.executable && isPathOf(process.executable, mapping.path))
        entry.executableDevice = mapping.identity.slice(0, mapping.identity.indexOf(" "));
      if (GPU_DEVICE.test(mapping.path)) entry.mapsGpu = true;
      // Any mapped file can hold weights, because a name is not evidence. Executable mappings are included,
      // because READ_IMPLIES_EXEC makes data executable (personality(2)).
      entry.unresolved.push({ mapping });
    }
    const bytesMin = entry.libraries.length > 0 ? OPEN_BYTES_MIN : READER_BYTES_MIN;
    if (process.residentBytes >= bytesMin) this.#addDescriptors(entry);
  }

  #isWanted(path: string): boolean {
    let isWanted = this.#isWantedPath.get(path);
    if (isWanted === undefined) {
      if (this.#isWantedPath.size > KNOWN_PATHS_MAX) this.#isWantedPath.clear();
      isWanted = this.#deps.isWanted(path);
      this.#isWantedPath.set(path, isWanted);
    }
    return isWanted;
  }

  #addDescriptors(entry: MappedProcess): void {
    const descriptors = descriptorsOf(this.#deps.files, entry.shown.directory);
    if (!descriptors) entry.unread += 1;
    entry.unread += Math.max(0, (descriptors?.length ?? 0) - DESCRIPTORS_MAX);
    for (const descriptor of descriptors?.slice(0, DESCRIPTORS_MAX) ?? [])
      entry.unresolved.push({ descriptor });
  }

  /**
   * Checks the unresolved files of a process until the budget is used up. The next scan checks the remaining
   * files.
   */
  async #resolve(entry: MappedProcess, budget: Budget): Promise<void> {
    const left: Unresolved[] = [];
    for (const [at, one] of entry.unresolved.entries()) {
      if (at % FILES_PER_CHECK === FILES_PER_CHECK - 1 && (await budget.isUsedUp())) {
        left.push(...entry.unresolved.slice(at));
        break;
      }
      const verdict =
        "mapping" in one
          ? this.#finder.mapped(entry.shown, one.mapping)
          : this.#checkOpen(entry, one.descriptor);
      if (verdict.is === "weights") {
        entry.weights.push(verdict.file);
        this.#found = undefined;
      } else if (verdict.is !== "nothing") left.push({ ...one, verdict });
    }
    entry.unresolved = left;
  }

  #checkOpen({ shown, weights }: MappedProcess, descriptor: string): Verdict {
    const path = optional(() => this.#deps.files.link(`${shown.directory}/fd/${descriptor}`));
    if (!path?.startsWith("/") || weights.some((one) => one.path === path)) return { is: "nothing" };
    return this.#finder.open(shown, descriptor, path);
  }

  #report(total: number): Pick<Mapped, "collectors" | "waiting"> {
    const denied = [...this.#known.values()].filter((entry) => entry.denied).length;
    const waiting = this.#queue.count();
    const unread = this.#queue.unreadCount();
    const files = describeUnresolved(this.#known);
    const late =
      waiting > 0
        ? [`${waiting} changed processes wait for the next scan, ${unread} of them were never read`]
        : [];
    const problems = [
      ...(this.#deps.isHiding?.() ? [HIDING_DETAIL] : []),
      ...(denied > 0
        ? [`the agent has no permission to read the memory maps of ${denied} of ${total} processes`]
        : []),
      ...late,
    ];
    return {
      collectors: [
        summary("weights", [...problems, ...files.unreadable, ...files.unanswered, ...files.waiting]),
        summary("libraries", problems),
      ],
      waiting: [...late, ...files.waiting],
    };
  }
}

/** True if a mapped path is the path of the executable, whose file may have been deleted. */
const isPathOf = (executable: string | undefined, path: string): boolean =>
  executable !== undefined && (path === executable || path === `${executable} (deleted)`);

function summary(name: string, problems: readonly string[]): Collector {
  return problems.length === 0
    ? { name, status: "ok" }
    : { name, status: "partial", detail: problems.join("; ") };
}
