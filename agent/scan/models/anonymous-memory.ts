import type { Collector } from "../../../shared/wire/heartbeat.ts";
import type { Reader } from "../reader/file-reader.ts";
import { attempt, type Files } from "../system/files.ts";
import type { AnonymousMemory, WeightFile } from "../system/host.ts";
import type { LinuxProcess } from "../system/linux-process.ts";
import type { Mounts } from "../system/mounts.ts";
import { findNearbyWeights } from "./nearby-weights.ts";
import { RUNTIME_BYTES_MIN } from "./unmapped-weights.ts";

const STATUS_BYTES_MAX = 8192;
/** Minimum interval between two reads of the same process. */
const REFRESH_MS = 15_000;
/** Maximum number of processes read per scan. Processes whose last read is oldest come first. */
export const READS_PER_SCAN_MAX = 8;
/**
 * Relative change above which new amounts are reported. Without this threshold, every byte would change the
 * heartbeat.
 */
const CHANGE_SHARE = 0.25;
/** Relative change between two reads below which a process counts as having finished loading. */
const STEADY_SHARE = 0.01;
/** Minimum interval between two listings of the directories of the same process. */
const NEARBY_MS = 600_000;

/** Parses anonymous memory in bytes, resident and swapped out, from `/proc/PID/status` (proc_pid_status(5)). */
export function parseHeldBytes(status: string): number | undefined {
  const resident = /^RssAnon:\s+(\d+) kB$/m.exec(status)?.[1];
  const swapped = /^VmSwap:\s+(\d+) kB$/m.exec(status)?.[1] ?? "0";
  return resident === undefined ? undefined : (Number(resident) + Number(swapped)) * 1024;
}

/**
 * Parses the number of bytes that a process has read with read(2) and similar calls, from `/proc/PID/io`
 * (proc_pid_io(5)).
 */
export function parseReadBytes(io: string): number | undefined {
  const bytes = /^rchar: (\d+)$/m.exec(io)?.[1];
  return bytes === undefined ? undefined : Number(bytes);
}

/** Findings in the memory maps of a process, other than its weights. */
export type MapTraces = { mapsGpu: boolean; earlier: readonly WeightFile[] };

type Amounts = Pick<AnonymousMemory, "heldBytes" | "readBytes">;

type Watched = {
  key: string;
  traces: MapTraces | undefined;
  readAtMs: number;
  listedAtMs?: number;
  isListing: boolean;
  /** Number of the process's directories that are remote or not readable. */
  unread: number;
  /** Amounts as of the last read. */
  amounts: Amounts;
  /** The memory amounts that are reported. */
  memory: AnonymousMemory;
  /** True if the reported amounts were read after loading had finished. */
  isSteady: boolean;
};

type Processes = ReadonlyMap<number, LinuxProcess>;
type Libraries = ReadonlyMap<number, readonly string[]>;
type Traces = ReadonlyMap<number, MapTraces>;

export type AnonymousMemoryTable = {
  /** Reads the processes that are due. Returns the same map as before while its values are unchanged. */
  read(
    processes: Processes,
    libraries: Libraries,
    traces: Traces,
  ): {
    anonymous: ReadonlyMap<number, AnonymousMemory>;
    collectors: readonly Collector[];
    waiting: readonly string[];
  };
};

type Dependencies = { files: Files; mounts: Mounts; reader: Reader; elapsed: () => number };

/**
 * Anonymous memory and read bytes of the processes that have loaded a library named in the catalogue. Other
 * processes are not read. Each read opens two procfs files.
 */
export function createAnonymousMemoryTable(deps: Dependencies): AnonymousMemoryTable {
  const table = new LinuxMemoryTable(deps);
  return { read: (processes, libraries, traces) => table.read(processes, libraries, traces) };
}

class LinuxMemoryTable {
  readonly #deps: Dependencies;
  readonly #watched = new Map<number, Watched>();
  #anonymous: ReadonlyMap<number, AnonymousMemory> = new Map();
  #isChanged = false;
  /** False if the kernel does not count anonymous memory or read bytes. */
  #isCounted = true;

  constructor(deps: Dependencies) {
    this.#deps = deps;
  }

  read(processes: Processes, libraries: Libraries, traces: Traces): ReturnType<AnonymousMemoryTable["read"]> {
    const watched = this.#watched;
    for (const [pid, { key }] of watched) {
      if (libraries.has(pid) && processes.get(pid)?.key === key) continue;
      watched.delete(pid);
      this.#isChanged = true;
    }
    const due = this.#due(processes, libraries, traces);
    for (const process of due.slice(0, READS_PER_SCAN_MAX)) this.#readOne(process, traces.get(process.pid));
    if (this.#isChanged) this.#anonymous = new Map([...watched].map(([pid, { memory }]) => [pid, memory]));
    this.#isChanged = false;
    const unread = due.slice(READS_PER_SCAN_MAX).filter(({ pid }) => !watched.has(pid)).length;
    const unreadDirectories = [...watched.values()].reduce((sum, one) => sum + one.unread, 0);
    const listing = [...watched.values()].filter((one) => one.isListing).length;
    return {
      anonymous: this.#anonymous,
      collectors: reportOf(this.#isCounted, unreadDirectories),
      waiting: [
        ...(unread > 0 ? [`the next scan reads the memory of ${unread} processes`] : []),
        ...(listing > 0 ? [`the directories of ${listing} processes are still being read`] : []),
      ],
    };
  }

  /**
   * Processes that are due for a read. They are large enough to hold a model, and they were not read recently
   * or their maps have changed. Processes whose last read is oldest come first.
   */
  #due(processes: Processes, libraries: Libraries, traces: Traces): LinuxProcess[] {
    const nowMs = this.#deps.elapsed();
    const watched = this.#watched;
    const readAt = (pid: number): number => watched.get(pid)?.readAtMs ?? Number.NEGATIVE_INFINITY;
    return [...libraries.keys()]
      .flatMap((pid) => processes.get(pid) ?? [])
      .filter(({ pid, residentBytes }) => watched.has(pid) || residentBytes >= RUNTIME_BYTES_MIN)
      .filter(({ pid }) => nowMs - readAt(pid) >= REFRESH_MS || watched.get(pid)?.traces !== traces.get(pid))
      .sort((a, b) => readAt(a.pid) - readAt(b.pid) || b.residentBytes - a.residentBytes);
  }

  #readOne(process: LinuxProcess, traces: MapTraces | undefined): void {
    const { pid, key } = process;
    const before = this.#watched.get(pid);
    const amounts = this.#readAmounts(process);
    const reported = reportedOf(before, amounts);
    const now = { mapsGpu: false, earlier: [], ...traces, nearby: before?.memory.nearby ?? [] };
    const memory = unlessSame(before?.memory, { ...reported.amounts, ...now });
    if (memory !== before?.memory) this.#isChanged = true;
    const one: Watched = {
      isListing: false,
      unread: 0,
      ...before,
      key,
      traces,
      readAtMs: this.#deps.elapsed(),
      amounts,
      memory,
      isSteady: reported.isSteady,
    };
    this.#watched.set(pid, one);
    const isLarge = Math.min(amounts.heldBytes, amounts.readBytes) >= RUNTIME_BYTES_MIN;
    const sinceMs = this.#deps.elapsed() - (one.listedAtMs ?? Number.NEGATIVE_INFINITY);
    if (isLarge && !one.isListing && sinceMs >= NEARBY_MS) void this.#listNearby(process, one);
  }

  #readAmounts({ directory }: LinuxProcess): Amounts {
    const { files } = this.#deps;
    const status = attempt(() => files.text(`${directory}/status`, STATUS_BYTES_MAX, "latin1"));
    const io = attempt(() => files.line(`${directory}/io`));
    const held = "value" in status ? parseHeldBytes(status.value) : undefined;
    const read = "value" in io ? parseReadBytes(io.value) : undefined;
    // After the process has ended, both files are missing. If only `io` is missing, the kernel does not count
    // read bytes.
    if ("value" in status && (held === undefined || ("miss" in io && io.miss === "gone")))
      this.#isCounted = false;
    return { heldBytes: held ?? 0, readBytes: read ?? 0 };
  }

  async #listNearby(process: LinuxProcess, one: Watched): Promise<void> {
    one.isListing = true;
    one.listedAtMs = this.#deps.elapsed();
    const { found, unread } = await findNearbyWeights(this.#deps, process);
    // Another read may have replaced the entry while the directories were being listed.
    const now = this.#watched.get(process.pid);
    if (now?.key !== one.key) return;
    now.isListing = false;
    now.unread = unread;
    now.listedAtMs = one.listedAtMs;
    if (found.length === 0 && now.memory.nearby.length === 0) return;
    now.memory = { ...now.memory, nearby: found };
    this.#isChanged = true;
  }
}

/** Returns the collector `anonymous-memory` if some data could not be read, else an empty array. */
function reportOf(isCounted: boolean, unreadDirectories: number): Collector[] {
  const problems = [
    ...(isCounted
      ? []
      : [
          "this kernel does not count anonymous memory or the bytes that processes read (CONFIG_TASK_IO_ACCOUNTING)",
        ]),
    ...(unreadDirectories > 0
      ? [`could not read ${unreadDirectories} directories that processes with an inference library use`]
      : []),
  ];
  if (problems.length === 0) return [];
  return [{ name: "anonymous-memory", status: "partial", detail: problems.join("; ") }];
}

const isClose = (a: Amounts, b: Amounts, share: number): boolean =>
  Math.abs(a.heldBytes - b.heldBytes) <= share * a.heldBytes &&
  Math.abs(a.readBytes - b.readBytes) <= share * a.readBytes;

/**
 * Keeps the reported amounts until the new amounts differ by {@link CHANGE_SHARE}. Replaces the reported
 * amounts once more when the process has finished loading.
 */
function reportedOf(before: Watched | undefined, now: Amounts): { amounts: Amounts; isSteady: boolean } {
  if (!before || !isClose(before.memory, now, CHANGE_SHARE)) return { amounts: now, isSteady: false };
  if (!before.isSteady && isClose(before.amounts, now, STEADY_SHARE)) return { amounts: now, isSteady: true };
  const { heldBytes, readBytes } = before.memory;
  return { amounts: { heldBytes, readBytes }, isSteady: before.isSteady };
}

function unlessSame(before: AnonymousMemory | undefined, now: AnonymousMemory): AnonymousMemory {
  const isSame =
    before !== undefined &&
    before.heldBytes === now.heldBytes &&
    before.readBytes === now.readBytes &&
    before.mapsGpu === now.mapsGpu &&
    before.nearby === now.nearby &&
    before.earlier.length === now.earlier.length &&
    before.earlier.every(({ path }, at) => path === now.earlier[at]!.path);
  return isSame ? before : now;
}
