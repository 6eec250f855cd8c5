import type { Collector } from "../../../shared/wire/heartbeat.ts";
import type { Reader } from "../reader/file-reader.ts";
import { type Budget, createBudget } from "../system/cpu-budget.ts";
import { attempt, type Files, optional } from "../system/files.ts";
import { HIDING_DETAIL } from "../system/hidepid.ts";
import type { WeightFile } from "../system/host.ts";
import type { LinuxProcess } from "../system/linux-process.ts";
import type { Mounts } from "../system/mounts.ts";
import { type Mapping, parseMaps } from "../system/process-maps.ts";
import type { MapTraces } from "./anonymous-memory.ts";
import {
  createWeightFinder,
  descriptorsOf,
  OPEN_BYTES_MIN,
  type Shown,
  type Verdict,
} from "./weight-finder.ts";

const MAPS_BYTES_MAX = 8 * 1024 * 1024;
const KNOWN_PATHS_MAX = 8192;
/** Processor time for the maps of new and changed processes in a scan, and of the first one. */
const REREAD_MS_MAX = 4;
/** While some processes have never been read: they may be undetected engines. */
const NEW_MS_MAX = 20;
const FIRST_MS_MAX = 400;
/** So many are read in any case. */
const REREAD_MIN = 8;
/** What waits for longer gets more time, so that nothing waits for ever: so much a scan, and at most. */
const OVERDUE_MS = 4;
const OVERDUE_MS_MAX = 40;
/** Who waits for so many scans comes before all others, whatever their size. */
const OVERDUE_SCANS = 2;
/** So many files of a process are looked up before the budget is asked. */
const FILES_PER_CHECK = 16;
/** An engine that reads its weights instead of mapping them has at least this much in memory. */
const READER_BYTES_MIN = 256 * 1024 * 1024;
const DESCRIPTORS_MAX = 4096;
/** Weights of earlier looks are remembered for so many files of a process. */
const EARLIER_MAX = 8;
/** What CUDA and ROCm map: NVIDIA's devices, AMD's for computing, and render nodes. */
const GPU_DEVICE = /^\/dev\/(?:nvidia(?:\d|ctl|-uvm)|kfd|dri\/renderD\d)/;

/** A file that a process maps or has open and that is not known yet; `verdict` is that of the last look. */
type Unresolved = ({ mapping: Mapping } | { descriptor: string }) & { verdict?: Verdict };

type Known = {
  key: string;
  shown: Shown;
  virtualBytes: number;
  weights: WeightFile[];
  libraries: string[];
  /** Its maps may not be read. */
  denied: boolean;
  /** Not looked at for their number, or for lack of rights. */
  unread: number;
  unresolved: Unresolved[];
  /** Device of its executable, as its maps tell it. */
  executableDevice: string | undefined;
  mapsGpu: boolean;
  /** Weights that an earlier scan found in its memory maps. */
  earlier: readonly WeightFile[];
};

export type Mapped = {
  weights: ReadonlyMap<number, readonly WeightFile[]>;
  libraries: ReadonlyMap<number, readonly string[]>;
  /** Of processes with such libraries, where there is something to tell. */
  traces: ReadonlyMap<number, MapTraces>;
  collectors: readonly Collector[];
  /** What the time budget left out. */
  waiting: readonly string[];
  /** What could not be read because its file system does not answer. */
  unanswered: readonly string[];
};

type Found = Pick<Mapped, "weights" | "libraries" | "traces">;

export type MappedTable = {
  /** `changed`: those that are new or of another size. The maps are the same ones as before while they say the same. */
  read(processes: ReadonlyMap<number, LinuxProcess>, changed: readonly LinuxProcess[]): Promise<Mapped>;
  /** Device of a process's executable; undefined where it is not known. */
  executableDevice(pid: number): string | undefined;
};

/**
 * Weights and libraries in the memory of each process. A process is read when it is new and when the size of its
 * address space changed, because mapping a model changes that. The budget is processor time, not wall-clock time, so a busy
 * host slows the reads down and does not skip them. Overdue processes come first, then new ones, largest first.
 */
export function createMappedTable(deps: {
  files: Files;
  procRoot: string;
  /** Never reported, and busy whenever somebody looks. */
  selfPid: number;
  elapsed: () => number;
  /** Processor time of this process, milliseconds. */
  cpuMs: () => number;
  mounts: Mounts;
  reader: Reader;
  /** True for the path of a library that some catalogue entry asks about. */
  isWanted: (path: string) => boolean;
  /** True while procfs leaves out processes of others. */
  isHiding?: () => boolean;
}): MappedTable {
  const { files } = deps;
  const finder = createWeightFinder(deps);
  const known = new Map<number, Known>();
  const waiting = new Map<number, { process: LinuxProcess; since: number }>();
  const wantedPaths = new Map<string, boolean>();
  let found: Found | undefined;
  let seen: ReadonlyMap<number, LinuxProcess> | undefined;
  let scans = 0;

  return {
    read: async (processes, changed) => {
      scans += 1;
      for (const process of changed) {
        const since = waiting.get(process.pid)?.since ?? scans;
        if (process.pid !== deps.selfPid) waiting.set(process.pid, { process, since });
      }
      if (processes !== seen) forgetGone(processes);
      seen = processes;
      const budget = createBudget(deps, budgetMs());
      for (const entry of known.values()) if (entry.unresolved.length > 0) await resolve(entry, budget);
      for (const [at, process] of inOrder().entries()) {
        if ((await budget.isUsedUp()) && at >= REREAD_MIN) break;
        if (changeOf(process) > 0) await resolve(readOne(process), budget);
        waiting.delete(process.pid);
      }
      found ??= collect();
      return { ...found, ...report(processes.size) };
    },
    executableDevice: (pid) => known.get(pid)?.executableDevice,
  };

  function budgetMs(): number {
    if (known.size === 0) return FIRST_MS_MAX;
    const oldest = Math.min(scans, ...[...waiting.values()].map(({ since }) => since));
    const hasNew = [...waiting.keys()].some((pid) => !known.has(pid));
    return (hasNew ? NEW_MS_MAX : REREAD_MS_MAX) + Math.min(OVERDUE_MS * (scans - oldest), OVERDUE_MS_MAX);
  }

  function forgetGone(processes: ReadonlyMap<number, LinuxProcess>): void {
    for (const [pid, before] of known) if (processes.get(pid)?.key !== before.key) forget(pid);
    for (const pid of waiting.keys()) if (!processes.has(pid)) waiting.delete(pid);
  }

  function forget(pid: number): void {
    if (hasNews(known.get(pid))) found = undefined;
    known.delete(pid);
  }

  /** The overdue by age, then new processes by size, then the largest change: a small file may be all that matters. */
  function inOrder(): LinuxProcess[] {
    const rank = ({ process, since }: { process: LinuxProcess; since: number }): number[] => {
      const isOverdue = since <= scans - OVERDUE_SCANS;
      return [isOverdue ? since - scans : 0, known.has(process.pid) ? 1 : 0, -sizeOf(process)];
    };
    return [...waiting.values()]
      .map((one) => ({ process: one.process, rank: rank(one) }))
      .sort((a, b) => compare(a.rank, b.rank))
      .map(({ process }) => process);
  }

  function sizeOf(process: LinuxProcess): number {
    return known.has(process.pid) ? changeOf(process) : process.virtualBytes;
  }

  /** Bytes that its address space grew or shrank by since its maps were read. */
  function changeOf(process: LinuxProcess): number {
    const before = known.get(process.pid);
    if (!before) return Number.MAX_SAFE_INTEGER;
    return before.denied ? 0 : Math.abs(process.virtualBytes - before.virtualBytes);
  }

  /** Reads its maps; what is in the files it maps is found out afterwards. */
  function readOne(process: LinuxProcess): Known {
    const { pid, key, virtualBytes, directory } = process;
    const before = known.get(pid);
    const entry: Known = {
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
    const text = attempt(() => files.text(`${directory}/maps`, MAPS_BYTES_MAX));
    if ("value" in text) {
      // Every line ends: a table that is too long was cut in one, and the rest of it is not seen.
      if (text.value !== "" && !text.value.endsWith("\n")) entry.unread += 1;
      for (const mapping of parseMaps(text.value)) {
        if (mapping.executable && isWanted(mapping.path)) entry.libraries.push(mapping.path);
        if (mapping.executable && mapping.path.replace(/ \(deleted\)$/, "") === process.executable)
          entry.executableDevice = mapping.identity.slice(0, mapping.identity.indexOf(" "));
        if (GPU_DEVICE.test(mapping.path)) entry.mapsGpu = true;
        // Whatever its name, and also as code: personality(2) has READ_IMPLIES_EXEC, and a name proves nothing.
        entry.unresolved.push({ mapping });
      }
      const bytesMin = entry.libraries.length > 0 ? OPEN_BYTES_MIN : READER_BYTES_MIN;
      if (process.residentBytes >= bytesMin) addDescriptors(entry);
    } else entry.denied = text.miss !== "gone";
    forget(pid);
    if (hasNews(entry)) found = undefined;
    known.set(pid, entry);
    return entry;
  }

  function isWanted(path: string): boolean {
    let wanted = wantedPaths.get(path);
    if (wanted === undefined) {
      if (wantedPaths.size > KNOWN_PATHS_MAX) wantedPaths.clear();
      wanted = deps.isWanted(path);
      wantedPaths.set(path, wanted);
    }
    return wanted;
  }

  function addDescriptors(entry: Known): void {
    const descriptors = descriptorsOf(files, entry.shown.directory);
    if (!descriptors) entry.unread += 1;
    entry.unread += Math.max(0, (descriptors?.length ?? 0) - DESCRIPTORS_MAX);
    for (const descriptor of descriptors?.slice(0, DESCRIPTORS_MAX) ?? [])
      entry.unresolved.push({ descriptor });
  }

  /** Looks into its files as long as there is time. What stays unresolved is looked at again in the next scan. */
  async function resolve(entry: Known, budget: Budget): Promise<void> {
    const left: Unresolved[] = [];
    for (const [at, one] of entry.unresolved.entries()) {
      if (at % FILES_PER_CHECK === FILES_PER_CHECK - 1 && (await budget.isUsedUp())) {
        left.push(...entry.unresolved.slice(at));
        break;
      }
      const verdict =
        "mapping" in one ? finder.mapped(entry.shown, one.mapping) : lookOpen(entry, one.descriptor);
      if (verdict.is === "weights") {
        entry.weights.push(verdict.file);
        found = undefined;
      } else if (verdict.is !== "nothing") left.push({ ...one, verdict });
    }
    entry.unresolved = left;
  }

  function lookOpen({ shown, weights }: Known, descriptor: string): Verdict {
    const path = optional(() => files.link(`${shown.directory}/fd/${descriptor}`));
    if (!path?.startsWith("/") || weights.some((one) => one.path === path)) return { is: "nothing" };
    return finder.open(shown, descriptor, path);
  }

  function collect(): Found {
    const weights = new Map<number, WeightFile[]>();
    const libraries = new Map<number, string[]>();
    const traces = new Map<number, MapTraces>();
    for (const [pid, entry] of known) {
      // Copies: a list that grows later is another list.
      if (entry.weights.length > 0) weights.set(pid, [...entry.weights]);
      if (entry.libraries.length > 0) libraries.set(pid, entry.libraries);
      const { mapsGpu } = entry;
      const earlier = entry.earlier.filter(({ path }) => !entry.weights.some((one) => one.path === path));
      if (entry.libraries.length > 0 && (mapsGpu || earlier.length > 0))
        traces.set(pid, { mapsGpu, earlier });
    }
    return { weights, libraries, traces };
  }

  function report(total: number): Pick<Mapped, "collectors" | "waiting" | "unanswered"> {
    const denied = [...known.values()].filter((entry) => entry.denied).length;
    const unseen = [...waiting.keys()].filter((pid) => !known.has(pid)).length;
    const { unreadable, unanswered, waiting: unreadYet } = unresolvedFiles();
    const late =
      waiting.size > 0
        ? [`${waiting.size} changed processes wait for the next scan, ${unseen} of them not seen yet`]
        : [];
    const problems = [
      ...(deps.isHiding?.() ? [HIDING_DETAIL] : []),
      ...(denied > 0
        ? [`memory maps of ${denied} of ${total} processes not readable with these rights`]
        : []),
      ...late,
    ];
    return {
      collectors: [
        summary("weights", [...problems, ...unreadable, ...unanswered, ...unreadYet]),
        summary("libraries", problems),
      ],
      waiting: [...late, ...unreadYet],
      unanswered,
    };
  }

  function unresolvedFiles(): Record<"unreadable" | "unanswered" | "waiting", string[]> {
    let [unreadable, waitingFiles] = [0, 0];
    const silent = new Map<string, number>();
    for (const { unresolved, unread } of known.values()) {
      unreadable += unread;
      for (const { verdict } of unresolved) {
        if (verdict?.is === "unanswered") silent.set(verdict.type, (silent.get(verdict.type) ?? 0) + 1);
        else if (verdict?.is === "unreadable") unreadable += 1;
        else waitingFiles += 1;
      }
    }
    return {
      unreadable: unreadable > 0 ? [`${unreadable} mapped or open files not readable`] : [],
      unanswered: [...silent].map(
        ([type, count]) => `${count} mapped files not read: ${type} does not answer`,
      ),
      waiting: waitingFiles > 0 ? [`${waitingFiles} files wait for the next scan`] : [],
    };
  }
}

const hasNews = (entry: Known | undefined): boolean =>
  entry !== undefined && entry.weights.length + entry.libraries.length > 0;

function compare(a: readonly number[], b: readonly number[]): number {
  for (let at = 0; at < a.length; at += 1) if (a[at] !== b[at]) return a[at]! - b[at]!;
  return 0;
}

function summary(name: string, problems: readonly string[]): Collector {
  return problems.length === 0
    ? { name, status: "ok" }
    : { name, status: "partial", detail: problems.join("; ") };
}
