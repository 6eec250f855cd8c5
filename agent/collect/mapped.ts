import type { Collector } from "../../shared/wire/heartbeat.ts";
import { attempt, type Files, optional } from "./files.ts";
import type { WeightFile } from "./host.ts";
import type { LinuxProcess } from "./processes.ts";
import { recogniseWeights } from "./weights.ts";

/** A file in a process's memory, from proc_pid_maps(5). */
export type Mapping = {
  /** Device and inode as the kernel prints them: the file, whatever its name. */
  identity: string;
  path: string;
  /** Address range of the first mapping: its name in `/proc/PID/map_files`. */
  range: string;
  executable: boolean;
};

/**
 * Every mapped file once; `executable` when any of its mappings is. The segments of a file follow each other, so
 * most lines repeat the path before them and cost no string of their own.
 */
export function parseMaps(text: string): Mapping[] {
  const files = new Map<string, Mapping>();
  let last: Mapping | undefined;
  let start = 0;
  for (;;) {
    const slash = text.indexOf("/", start);
    if (slash < 0) break;
    const line = text.lastIndexOf("\n", slash) + 1;
    const newline = text.indexOf("\n", slash);
    const end = newline < 0 ? text.length : newline;
    if (last && end - slash === last.path.length && text.startsWith(last.path, slash)) {
      // `start-end rwxp`: the third letter behind the first space.
      last.executable ||= text[text.indexOf(" ", line) + 3] === "x";
    } else last = readMapping(text, line, slash, end, files) ?? last;
    start = end + 1;
  }
  return [...files.values()];
}

const MAPPING = /([0-9a-f]+-[0-9a-f]+) ..(.). [0-9a-f]+ ([0-9a-f]+:[0-9a-f]+ \d+) +(?=\/)/y;

function readMapping(
  text: string,
  line: number,
  slash: number,
  end: number,
  files: Map<string, Mapping>,
): Mapping | undefined {
  MAPPING.lastIndex = line;
  const match = MAPPING.exec(text);
  if (!match) return undefined;
  const [, range, permission, identity] = match;
  let file = files.get(identity!);
  if (!file) {
    file = { identity: identity!, path: text.slice(slash, end), range: range!, executable: false };
    files.set(identity!, file);
  }
  file.executable ||= permission === "x";
  return file;
}

/** `major:minor` in the hexadecimal of maps, for mounts whose server may never answer. */
export function parseRemoteMounts(mountinfo: string): Set<string> {
  const remote = new Set<string>();
  for (const line of mountinfo.split("\n")) {
    const [before, after] = line.split(" - ");
    const type = after?.split(" ")[0] ?? "";
    if (!/^(nfs|nfs4|cifs|smb3|ceph|afs|9p|fuse\.(?!fuse-overlayfs).*)$/.test(type)) continue;
    const [major, minor] = (before!.split(" ")[2] ?? "").split(":").map(Number);
    if (major === undefined || minor === undefined) continue;
    remote.add(`${major.toString(16).padStart(2, "0")}:${minor.toString(16).padStart(2, "0")}`);
  }
  return remote;
}

const MAPS_BYTES_MAX = 8 * 1024 * 1024;
const KNOWN_FILES_MAX = 8192;
/** Time for re-reading the maps of processes that grew or shrank, after the first scan. */
const REREAD_MS_MAX = 4;
const FIRST_MS_MAX = 400;
/** On a host where everything waits, time runs out before anything was done: so many are read in any case. */
const REREAD_MIN = 8;
/** Reading in one go before others have their turn: servers are asked meanwhile, and their answers taken in. */
const TURN_MS_MAX = 1;
/** An engine that reads its weights instead of mapping them has at least this much in memory. */
const READER_BYTES_MIN = 256 * 1024 * 1024;
const OPEN_WEIGHTS_BYTES_MIN = 64 * 1024 * 1024;
const DESCRIPTORS_MAX = 1024;
/** Mapped by nearly everything, and never weights. */
const ORDINARY =
  /^\/(?:dev\/(?!shm\/)|usr\/(?:lib|share)\/(?:locale|fonts|mime|icons|zoneinfo)|SYSV|proc\/|sys\/)/;

const LIBRARY = /\.so(?:\.[\d.]+)?(?: \(deleted\))?$/;

type Known = {
  key: string;
  virtualBytes: number;
  weights: WeightFile[];
  libraries: string[];
  denied: boolean;
  remote: number;
};

/** `null`: no weights. `remote`: on a mount whose server may never answer, so it is not read. */
type Recognised = WeightFile | null | "remote";

export type Mapped = {
  weights: ReadonlyMap<number, readonly WeightFile[]>;
  libraries: ReadonlyMap<number, readonly string[]>;
  collectors: readonly Collector[];
};

export type MappedTable = {
  /** `changed`: those that are new or of another size. The maps are the same ones as before while they say the same. */
  read(processes: ReadonlyMap<number, LinuxProcess>, changed: readonly LinuxProcess[]): Promise<Mapped>;
};

/**
 * Weights and libraries in the memory of each process. A process is read when it is new and when the size of
 * its address space changed, within a time budget: nobody can map a model without that.
 */
export function createMappedTable(deps: {
  files: Files;
  procRoot: string;
  /** Never reported, and busy whenever somebody looks. */
  selfPid: number;
  elapsed: () => number;
  /** True for the path of a library that some catalogue entry asks about. */
  isWanted: (path: string) => boolean;
}): MappedTable {
  const { files, procRoot } = deps;
  const known = new Map<number, Known>();
  const waiting = new Map<number, { process: LinuxProcess; since: number }>();
  /** By path and then identity: what nearly every process maps is looked up without a key of its own. */
  const recognised = new Map<string, Map<string, Recognised>>();
  const wantedPaths = new Map<string, boolean>();
  let remoteMounts: Set<string> | undefined;
  let found: Pick<Mapped, "weights" | "libraries"> | undefined;
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
      remoteMounts ??= parseRemoteMounts(
        optional(() => files.text(`${procRoot}/self/mountinfo`, MAPS_BYTES_MAX)) ?? "",
      );
      const budgetMs = known.size === 0 ? FIRST_MS_MAX : REREAD_MS_MAX;
      let workedMs = 0;
      let turnAtMs = deps.elapsed();
      for (const [at, process] of inOrder().entries()) {
        const turnMs = deps.elapsed() - turnAtMs;
        if (at >= REREAD_MIN && workedMs + turnMs > budgetMs) break;
        if (turnMs > TURN_MS_MAX) {
          workedMs += turnMs;
          await pause();
          turnAtMs = deps.elapsed();
        }
        if (changeOf(process) > 0) readOne(process);
        waiting.delete(process.pid);
      }
      found ??= collect();
      return { ...found, collectors: report(waiting.size, processes.size) };
    },
  };

  function forgetGone(processes: ReadonlyMap<number, LinuxProcess>): void {
    for (const [pid, before] of known) if (processes.get(pid)?.key !== before.key) forget(pid);
    for (const pid of waiting.keys()) if (!processes.has(pid)) waiting.delete(pid);
  }

  function forget(pid: number): void {
    if (hasNews(known.get(pid))) found = undefined;
    known.delete(pid);
  }

  /** Who waits longest comes first, then the largest change: a small file may be all that matters. */
  function inOrder(): LinuxProcess[] {
    return [...waiting.values()]
      .sort((a, b) => a.since - b.since || changeOf(b.process) - changeOf(a.process))
      .map(({ process }) => process);
  }

  /** Bytes that its address space grew or shrank by since its maps were read. */
  function changeOf(process: LinuxProcess): number {
    const before = known.get(process.pid);
    if (!before) return Number.MAX_SAFE_INTEGER;
    return before.denied ? 0 : Math.abs(process.virtualBytes - before.virtualBytes);
  }

  function readOne(process: LinuxProcess): void {
    const entry: Known = {
      key: process.key,
      virtualBytes: process.virtualBytes,
      weights: [],
      libraries: [],
      denied: false,
      remote: 0,
    };
    const text = attempt(() => files.text(`${procRoot}/${process.pid}/maps`, MAPS_BYTES_MAX));
    if ("value" in text) {
      for (const mapping of parseMaps(text.value)) {
        if (!mapping.executable) addWeights(process.pid, mapping, entry);
        else if (isWanted(mapping.path)) entry.libraries.push(mapping.path);
        // A program with an executable stack maps as code whatever it reads (READ_IMPLIES_EXEC of personality(2)).
        else if (mapping.path !== process.executable && !LIBRARY.test(mapping.path))
          addWeights(process.pid, mapping, entry);
      }
      if (process.residentBytes >= READER_BYTES_MIN) addOpenWeights(process, entry);
    } else entry.denied = text.miss === "denied";
    forget(process.pid);
    if (hasNews(entry)) found = undefined;
    known.set(process.pid, entry);
  }

  function isWanted(path: string): boolean {
    let wanted = wantedPaths.get(path);
    if (wanted === undefined) {
      if (wantedPaths.size > KNOWN_FILES_MAX) wantedPaths.clear();
      wanted = deps.isWanted(path);
      wantedPaths.set(path, wanted);
    }
    return wanted;
  }

  function addWeights(pid: number, mapping: Mapping, entry: Known): void {
    let namesakes = recognised.get(mapping.path);
    if (!namesakes) {
      if (recognised.size > KNOWN_FILES_MAX) recognised.clear();
      namesakes = new Map();
      recognised.set(mapping.path, namesakes);
    }
    let weights = namesakes.get(mapping.identity);
    if (weights === undefined) {
      if (namesakes.size > KNOWN_FILES_MAX) namesakes.clear();
      weights = ORDINARY.test(mapping.path) ? null : isRemote(mapping) ? "remote" : recognise(pid, mapping);
      namesakes.set(mapping.identity, weights);
    }
    if (weights === "remote") entry.remote += 1;
    else if (weights) entry.weights.push(weights);
  }

  function isRemote({ identity }: Mapping): boolean {
    return remoteMounts?.has(identity.slice(0, identity.indexOf(" "))) ?? false;
  }

  /** By its path inside the process's own root, or, when it was deleted or replaced, by its mapping. */
  function recognise(pid: number, mapping: Mapping): WeightFile | null {
    const gone = mapping.path.endsWith(" (deleted)") || mapping.path.startsWith("/memfd:");
    const byMapping = `${procRoot}/${pid}/map_files/${mapping.range}`;
    const candidates = gone ? [byMapping] : [`${procRoot}/${pid}/root${mapping.path}`, byMapping];
    for (const candidate of candidates) {
      const found = optional(() => readWeights(candidate));
      if (found !== undefined) return found && { ...found, path: mapping.path.replace(/ \(deleted\)$/, "") };
    }
    return null;
  }

  function readWeights(candidate: string, how: WeightFile["how"] = "mapped"): WeightFile | null {
    const { sizeBytes, isFile } = files.facts(candidate);
    if (!isFile || sizeBytes < 24) return null;
    const found = recogniseWeights((offset, length) => files.bytes(candidate, offset, length), sizeBytes);
    return found ? { path: candidate, sizeBytes, how, ...found } : null;
  }

  function addOpenWeights(process: LinuxProcess, entry: Known): void {
    const directory = `${procRoot}/${process.pid}/fd`;
    const descriptors = (optional(() => files.list(directory)) ?? []).slice(0, DESCRIPTORS_MAX);
    for (const descriptor of descriptors) {
      const path = optional(() => files.link(`${directory}/${descriptor}`));
      if (!path?.startsWith("/") || ORDINARY.test(path)) continue;
      if (entry.weights.some((weights) => weights.path === path)) continue;
      const facts = optional(() => files.facts(`${directory}/${descriptor}`));
      if (!facts?.isFile || facts.sizeBytes < OPEN_WEIGHTS_BYTES_MIN) continue;
      const found = optional(() => readWeights(`${directory}/${descriptor}`, "open"));
      if (found) entry.weights.push({ ...found, path });
    }
  }

  function collect(): Pick<Mapped, "weights" | "libraries"> {
    const weights = new Map<number, WeightFile[]>();
    const libraries = new Map<number, string[]>();
    for (const [pid, entry] of known) {
      if (entry.weights.length > 0) weights.set(pid, entry.weights);
      if (entry.libraries.length > 0) libraries.set(pid, entry.libraries);
    }
    return { weights, libraries };
  }

  function report(left: number, total: number): Collector[] {
    let denied = 0;
    let remote = 0;
    for (const entry of known.values()) {
      if (entry.denied) denied += 1;
      remote += entry.remote;
    }
    const problems = [
      ...(denied > 0
        ? [`memory maps of ${denied} of ${total} processes not readable with these rights`]
        : []),
      ...(left > 0 ? [`${left} changed processes wait for the next scan`] : []),
    ];
    const unread = remote > 0 ? [`${remote} mapped files on network mounts not read`] : [];
    return [summary("weights", [...problems, ...unread]), summary("libraries", problems)];
  }
}

/** Until all that waits for this thread had its turn. */
const pause = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

const hasNews = (entry: Known | undefined): boolean =>
  entry !== undefined && entry.weights.length + entry.libraries.length > 0;

function summary(name: string, problems: readonly string[]): Collector {
  return problems.length === 0
    ? { name, status: "ok" }
    : { name, status: "partial", detail: problems.join("; ") };
}
