import { dirname, isAbsolute } from "node:path/posix";
import type { Collector } from "../../../shared/wire/heartbeat.ts";
import type { Reader } from "../reader/file-reader.ts";
import { attempt, type Files, optional } from "../system/files.ts";
import type { AnonymousMemory, ModelOnDisk, WeightFile } from "../system/host.ts";
import type { LinuxProcess } from "../system/linux-process.ts";
import type { Mounts } from "../system/mounts.ts";
import { RUNTIME_BYTES_MIN } from "./unmapped-weights.ts";

const STATUS_BYTES_MAX = 8192;
/** The amounts of a process are read at most this often. */
const REFRESH_MS = 15_000;
/** So many processes a scan, those that were read longest ago first. */
export const READS_PER_SCAN_MAX = 8;
/** Reported amounts change when they differ by this share: a heartbeat should not change with every byte. */
const CHANGE_SHARE = 0.25;
/** Amounts that change by less between two reads are those of a process that has finished loading. */
const STEADY_SHARE = 0.01;
/** The directories beside a process are listed at most this often, and at most so many of them. */
const NEARBY_MS = 600_000;
const DIRECTORIES_MAX = 4;
const WORDS_MAX = 64;

/** Anonymous memory in bytes, in memory and swapped out, from `/proc/PID/status` (proc_pid_status(5)). */
export function parseHeldBytes(status: string): number | undefined {
  const resident = /^RssAnon:\s+(\d+) kB$/m.exec(status)?.[1];
  const swapped = /^VmSwap:\s+(\d+) kB$/m.exec(status)?.[1] ?? "0";
  return resident === undefined ? undefined : (Number(resident) + Number(swapped)) * 1024;
}

/** Bytes that the process asked read(2) and its kin for, from `/proc/PID/io` (proc_pid_io(5)). */
export function parseReadBytes(io: string): number | undefined {
  const bytes = /^rchar: (\d+)$/m.exec(io)?.[1];
  return bytes === undefined ? undefined : Number(bytes);
}

/** What the memory maps of a process tell beside its weights. */
export type MapTraces = { mapsGpu: boolean; earlier: readonly WeightFile[] };

type Watched = {
  key: string;
  traces: MapTraces | undefined;
  readAtMs: number;
  listedAtMs?: number;
  isListing: boolean;
  /** Directories beside it that are remote or could not be read. */
  unread: number;
  /** As they were read last, and as they are reported. */
  amounts: Amounts;
  memory: AnonymousMemory;
  /** The reported amounts are those of a process that has finished loading. */
  isSteady: boolean;
};

type Amounts = Pick<AnonymousMemory, "heldBytes" | "readBytes">;

export type AnonymousMemoryTable = {
  /** The same map as before while it says the same. */
  read(
    processes: ReadonlyMap<number, LinuxProcess>,
    libraries: ReadonlyMap<number, readonly string[]>,
    traces: ReadonlyMap<number, MapTraces>,
  ): {
    anonymous: ReadonlyMap<number, AnonymousMemory>;
    collectors: readonly Collector[];
    waiting: readonly string[];
  };
};

/**
 * Anonymous memory and read bytes of the processes that loaded a library the catalogue asks about. That is two reads from
 * procfs for each of a few processes; all others cost nothing.
 */
export function createAnonymousMemoryTable(deps: {
  files: Files;
  mounts: Mounts;
  reader: Reader;
  elapsed: () => number;
}): AnonymousMemoryTable {
  const { files, mounts, reader } = deps;
  const watched = new Map<number, Watched>();
  let anonymous: ReadonlyMap<number, AnonymousMemory> = new Map();
  let isChanged = false;
  let isCounted = true;

  return {
    read: (processes, libraries, traces) => {
      for (const [pid, { key }] of watched) {
        if (libraries.has(pid) && processes.get(pid)?.key === key) continue;
        watched.delete(pid);
        isChanged = true;
      }
      const due = dueOf(processes, libraries, traces);
      for (const process of due.slice(0, READS_PER_SCAN_MAX)) readOne(process, traces.get(process.pid));
      if (isChanged) anonymous = new Map([...watched].map(([pid, { memory }]) => [pid, memory]));
      isChanged = false;
      const unread = due.slice(READS_PER_SCAN_MAX).filter(({ pid }) => !watched.has(pid)).length;
      const notRead = [...watched.values()].reduce((sum, one) => sum + one.unread, 0);
      const listing = [...watched.values()].filter((one) => one.isListing).length;
      return {
        anonymous,
        collectors: reportOf(isCounted, notRead),
        waiting: [
          ...(unread > 0 ? [`the memory of ${unread} processes is read in the next scan`] : []),
          ...(listing > 0 ? [`${listing} directories of processes are still being read`] : []),
        ],
      };
    },
  };

  /** Who is large enough for a model and was not read lately, or not since its maps changed; the oldest first. */
  function dueOf(
    processes: ReadonlyMap<number, LinuxProcess>,
    libraries: ReadonlyMap<number, readonly string[]>,
    traces: ReadonlyMap<number, MapTraces>,
  ): LinuxProcess[] {
    const nowMs = deps.elapsed();
    const readAt = (pid: number): number => watched.get(pid)?.readAtMs ?? Number.NEGATIVE_INFINITY;
    return [...libraries.keys()]
      .flatMap((pid) => processes.get(pid) ?? [])
      .filter(({ pid, residentBytes }) => watched.has(pid) || residentBytes >= RUNTIME_BYTES_MIN)
      .filter(({ pid }) => nowMs - readAt(pid) >= REFRESH_MS || watched.get(pid)?.traces !== traces.get(pid))
      .sort((a, b) => readAt(a.pid) - readAt(b.pid) || b.residentBytes - a.residentBytes);
  }

  function readOne(process: LinuxProcess, traces: MapTraces | undefined): void {
    const { pid, key, directory } = process;
    const status = attempt(() => files.text(`${directory}/status`, STATUS_BYTES_MAX, "latin1"));
    const io = attempt(() => files.line(`${directory}/io`));
    const held = "value" in status ? parseHeldBytes(status.value) : undefined;
    const read = "value" in io ? parseReadBytes(io.value) : undefined;
    // A process that has ended has neither file.
    if ("value" in status && (held === undefined || ("miss" in io && io.miss === "gone"))) isCounted = false;
    const before = watched.get(pid);
    const now = { mapsGpu: false, earlier: [], ...traces, nearby: before?.memory.nearby ?? [] };
    const amounts = { heldBytes: held ?? 0, readBytes: read ?? 0 };
    const reported = reportedOf(before, amounts);
    const memory = unlessSame(before?.memory, { ...reported.amounts, ...now });
    if (memory !== before?.memory) isChanged = true;
    const { isSteady } = reported;
    const readAtMs = deps.elapsed();
    const one: Watched = {
      isListing: false,
      unread: 0,
      ...before,
      key,
      traces,
      readAtMs,
      amounts,
      memory,
      isSteady,
    };
    watched.set(pid, one);
    const isLarge = Math.min(amounts.heldBytes, amounts.readBytes) >= RUNTIME_BYTES_MIN;
    const listedAtMs = one.listedAtMs ?? Number.NEGATIVE_INFINITY;
    if (isLarge && !one.isListing && deps.elapsed() - listedAtMs >= NEARBY_MS) void lookAround(process, one);
  }

  /** Lists the directories beside a process in the reader process: other users decide what lies there. */
  async function lookAround(process: LinuxProcess, one: Watched): Promise<void> {
    one.isListing = true;
    one.listedAtMs = deps.elapsed();
    const found: ModelOnDisk[] = [];
    const { paths, remote } = directoriesOf(process);
    let unread = remote;
    for (const path of paths) {
      const request = { op: "weight-files", path, sizeBytesMin: RUNTIME_BYTES_MIN } as const;
      const outcome = await reader.ask(request, path);
      if ("value" in outcome) found.push(...outcome.value);
      else if (outcome.miss !== "gone") unread += 1;
    }
    const now = watched.get(process.pid);
    if (now?.key !== one.key) return;
    now.isListing = false;
    now.unread = unread;
    now.listedAtMs = one.listedAtMs;
    if (found.length === 0 && now.memory.nearby.length === 0) return;
    now.memory = { ...now.memory, nearby: found };
    isChanged = true;
  }

  /** Paths of the working directory and of directories in the command line; `remote` ones are only counted. */
  function directoriesOf({ pid, directory, argv }: LinuxProcess): { paths: string[]; remote: number } {
    const working = optional(() => files.link(`${directory}/cwd`));
    const named = argv.slice(1, WORDS_MAX).flatMap((word) => {
      const path = word.slice(word.startsWith("-") ? word.indexOf("=") + 1 : 0);
      if (!path.includes("/") || path.includes("://") || path.startsWith("-")) return [];
      const absolute = isAbsolute(path) ? path : `${working ?? ""}/${path}`;
      return dirname(absolute) === "/" ? [] : [dirname(absolute)];
    });
    const directories = [
      ...(working === undefined ? [] : [{ seen: working, path: `${directory}/cwd` }]),
      ...[...new Set(named)].map((seen) => ({ seen, path: `${directory}/root${seen}` })),
    ].slice(0, DIRECTORIES_MAX);
    const paths = directories
      .filter(({ seen }) => mounts.ofPath(seen, pid).class === "local")
      .map(({ path }) => path);
    return { paths, remote: directories.length - paths.length };
  }
}

/** Nothing while all could be read. */
function reportOf(isCounted: boolean, unread: number): Collector[] {
  const problems = [
    ...(isCounted
      ? []
      : ["this kernel does not count anonymous memory or what processes read (CONFIG_TASK_IO_ACCOUNTING)"]),
    ...(unread > 0 ? [`${unread} directories beside processes with an inference library not read`] : []),
  ];
  if (problems.length === 0) return [];
  return [{ name: "anonymous-memory", status: "partial", detail: problems.join("; ") }];
}

const isClose = (a: Amounts, b: Amounts, share: number): boolean =>
  Math.abs(a.heldBytes - b.heldBytes) <= share * a.heldBytes &&
  Math.abs(a.readBytes - b.readBytes) <= share * a.readBytes;

/** The amounts that were reported last, until they differ by a quarter or, once, stop to change. */
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
