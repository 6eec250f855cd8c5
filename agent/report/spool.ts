import { mkdirSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import type { Log } from "../platform/log.ts";
import {
  codeOf,
  isCode,
  readState,
  removeIfPossible,
  removeIfThere,
  StateFault,
  writeAtomically,
  writeState,
} from "../platform/state-files.ts";

export const SPOOL_BYTES_MAX = 32 * 1024 * 1024;
/**
 * Maximum number of heartbeats in the spool. It covers one week at one heartbeat per minute, which is the
 * rate while nothing changes and the edge is unreachable.
 */
export const SPOOL_COUNT_MAX = 10_000;
/** Maximum size in bytes of all heartbeats in memory while the disk cannot be written. */
export const MEMORY_BYTES_MAX = 2 * 1024 * 1024;

const DIRECTORY = "spool";
const COUNTERS_FILE = "spool-counters.json";
const SEQUENCE_DIGITS = 16;
const NAME = /^(\d{16})\.json$/;

const counters = z.strictObject({ dropped: z.int().min(0).max(Number.MAX_SAFE_INTEGER) });

/** A heartbeat in the spool. `body` is set only while the heartbeat is not on disk. */
type Entry = { sequence: number; bytes: number; body?: string | undefined };

export type Waiting = { sequence: number; body: string };

export type Spool = {
  /** Keeps a heartbeat until {@link Spool.remove}. Drops the oldest heartbeats when the spool is full. Never throws. */
  append: (sequence: number, body: string) => void;
  /** The heartbeat to send next. Drops files that cannot be read. */
  oldest: () => Waiting | undefined;
  /** Deletes a heartbeat that the edge accepted. */
  remove: (sequence: number) => void;
  /** Deletes a heartbeat that the edge will never accept, and counts it as dropped. */
  drop: (sequence: number) => void;
  /** Number of waiting heartbeats. */
  waiting: () => number;
  /** Number of heartbeats lost since enrolment. */
  dropped: () => number;
  /** Largest sequence number that was on disk when the spool was opened. -1 if the spool was empty. */
  lastSequence: number;
};

export type SpoolLimits = { bytesMax: number; countMax: number; memoryBytesMax: number };

type SpoolDeps = {
  log: Log;
  /** Writes a whole file and waits until it is on disk. */
  write?: (path: string, content: string) => void;
};

/** Deletes heartbeats that another machine left in a copied state directory. */
export function forgetSpool(stateDirectory: string): void {
  rmSync(join(stateDirectory, DIRECTORY), { recursive: true, force: true });
  removeIfThere(join(stateDirectory, COUNTERS_FILE));
}

/**
 * Heartbeats that the edge has not accepted, oldest first. Each heartbeat is a file named by its sequence
 * number, so that a crash can damage only one. When `append` returns, the heartbeat is on disk (fsync). If
 * the disk is full or broken, the heartbeat waits in memory, within limits. It moves to disk as soon as a
 * write succeeds.
 */
export const openSpool = (
  stateDirectory: string,
  deps: SpoolDeps,
  limits: SpoolLimits = {
    bytesMax: SPOOL_BYTES_MAX,
    countMax: SPOOL_COUNT_MAX,
    memoryBytesMax: MEMORY_BYTES_MAX,
  },
): Spool => new DiskSpool(stateDirectory, deps, limits);

class DiskSpool implements Spool {
  readonly lastSequence: number;
  readonly #stateDirectory: string;
  readonly #directory: string;
  readonly #log: Log;
  readonly #write: (path: string, content: string) => void;
  readonly #limits: SpoolLimits;
  /** The entries in ascending order of sequence number. */
  readonly #entries: Entry[];
  #dropped: number;
  #bytes: number;
  #bytesInMemory = 0;
  /** Error code of the last failed write. Undefined while the disk works. */
  #diskFault: string | undefined;

  constructor(stateDirectory: string, deps: SpoolDeps, limits: SpoolLimits) {
    this.#stateDirectory = stateDirectory;
    this.#directory = join(stateDirectory, DIRECTORY);
    this.#log = deps.log;
    this.#write = deps.write ?? writeAtomically;
    this.#limits = limits;
    try {
      this.#makeDirectory();
    } catch {
      // Ignore the error. When the first heartbeat has to wait, the spool tries again and logs the error.
    }
    this.#entries = listEntries(this.#directory);
    this.#dropped = readDropped(stateDirectory, deps.log);
    this.#bytes = this.#entries.reduce((sum, entry) => sum + entry.bytes, 0);
    this.lastSequence = this.#entries.at(-1)?.sequence ?? -1;
  }

  append(sequence: number, body: string): void {
    const entries = this.#entries;
    const { countMax, bytesMax, memoryBytesMax } = this.#limits;
    const entry: Entry = { sequence, bytes: Buffer.byteLength(body), body };
    const before = entries.findLastIndex((other) => other.sequence < sequence);
    if (entries[before + 1]?.sequence === sequence) return;
    entries.splice(before + 1, 0, entry);
    this.#bytes += entry.bytes;
    this.#bytesInMemory += entry.bytes;
    while (entries.length > 1 && (entries.length > countMax || this.#bytes > bytesMax)) {
      this.#dropEntry(0, "the spool is full");
    }
    for (const waiting of entries) {
      if (waiting.body !== undefined && !this.#moveToDisk(waiting, waiting.body)) break;
    }
    while (this.#bytesInMemory > memoryBytesMax && entries.length > 1) {
      const oldestInMemory = entries.findIndex((other) => other.body !== undefined);
      this.#dropEntry(oldestInMemory, `the disk cannot be written (${this.#diskFault})`);
    }
  }

  oldest(): Waiting | undefined {
    const entries = this.#entries;
    for (let entry = entries[0]; entry; entry = entries[0]) {
      if (entry.body !== undefined) return { sequence: entry.sequence, body: entry.body };
      const body = readWhole(this.#pathOf(entry), entry.sequence);
      if (body !== undefined) return { sequence: entry.sequence, body };
      this.#dropEntry(0, "its file is damaged");
    }
    return undefined;
  }

  remove(sequence: number): void {
    const index = this.#indexOf(sequence);
    if (index >= 0) this.#removeEntry(index);
  }

  drop(sequence: number): void {
    const index = this.#indexOf(sequence);
    if (index >= 0) this.#dropEntry(index, "the edge will never accept it");
  }

  waiting(): number {
    return this.#entries.length;
  }

  dropped(): number {
    return this.#dropped;
  }

  #makeDirectory(): void {
    mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
  }

  #pathOf({ sequence }: Entry): string {
    return join(this.#directory, fileName(sequence));
  }

  #indexOf(sequence: number): number {
    return this.#entries.findIndex((entry) => entry.sequence === sequence);
  }

  /**
   * Saves the count before it deletes the file. After a crash in between, the count is one too high, but
   * never too low.
   */
  #dropEntry(index: number, reason: string): void {
    const { sequence } = this.#entries[index]!;
    this.#dropped += 1;
    const dropped = this.#dropped;
    this.#log("warn", "heartbeat.dropped", { sequence, reason, dropped });
    try {
      writeState(this.#stateDirectory, COUNTERS_FILE, { dropped });
    } catch (cause) {
      this.#log("warn", "spool.count-not-saved", { reason: codeOf(cause) });
    }
    this.#removeEntry(index);
  }

  #removeEntry(index: number): void {
    const [entry] = this.#entries.splice(index, 1);
    if (!entry) return;
    this.#bytes -= entry.bytes;
    if (entry.body !== undefined) {
      this.#bytesInMemory -= entry.bytes;
      return;
    }
    try {
      removeIfThere(this.#pathOf(entry));
    } catch (cause) {
      // The heartbeat may be sent again after a restart. The repetition is harmless, because the edge
      // recognises it by asset, sequence and sentAt.
      this.#log("warn", "heartbeat.not-deleted", { sequence: entry.sequence, reason: codeOf(cause) });
    }
  }

  /** Moves one heartbeat from memory to disk. Returns false if the disk cannot be written. */
  #moveToDisk(entry: Entry, body: string): boolean {
    try {
      this.#makeDirectory();
      this.#write(this.#pathOf(entry), body);
    } catch (cause) {
      const reason = codeOf(cause);
      if (reason !== this.#diskFault) this.#log("error", "spool.disk-failed", { reason });
      this.#diskFault = reason;
      return false;
    }
    if (this.#diskFault !== undefined) this.#log("info", "spool.disk-recovered");
    this.#diskFault = undefined;
    this.#bytesInMemory -= entry.bytes;
    entry.body = undefined;
    return true;
  }
}

/** Number of waiting heartbeats in a state directory. For `lz-agent status`, while the daemon has the spool open. */
export function countWaiting(stateDirectory: string): number {
  try {
    return readdirSync(join(stateDirectory, DIRECTORY)).filter((name) => NAME.test(name)).length;
  } catch {
    return 0;
  }
}

const fileName = (sequence: number): string => `${String(sequence).padStart(SEQUENCE_DIGITS, "0")}.json`;

/** Names in a directory. Empty if the directory does not exist. */
function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch (cause) {
    if (isCode(cause, "ENOENT")) return [];
    throw cause;
  }
}

function listEntries(directory: string): Entry[] {
  const entries: Entry[] = [];
  for (const name of namesIn(directory)) {
    const match = NAME.exec(name);
    // A temporary file that a crash left half-written.
    if (!match && name.endsWith(".tmp")) removeIfPossible(join(directory, name));
    if (match) entries.push({ sequence: Number(match[1]), bytes: statSync(join(directory, name)).size });
  }
  return entries.sort((a, b) => a.sequence - b.sequence);
}

function readDropped(stateDirectory: string, log: Log): number {
  try {
    return readState(stateDirectory, COUNTERS_FILE, counters)?.dropped ?? 0;
  } catch (cause) {
    if (!(cause instanceof StateFault)) throw cause;
    log("warn", "spool.count-lost");
    return 0;
  }
}

/** Content of a spool file. Undefined if the file is not JSON with a `sequence` equal to the number in its name. */
function readWhole(path: string, sequence: number): string | undefined {
  try {
    const body = readFileSync(path, "utf8");
    const value: unknown = JSON.parse(body);
    const matches =
      typeof value === "object" && value !== null && "sequence" in value && value.sequence === sequence;
    return matches ? body : undefined;
  } catch {
    return undefined;
  }
}
