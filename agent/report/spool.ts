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
/** At one unchanged heartbeat a minute this is a week. */
export const SPOOL_COUNT_MAX = 10_000;
/** Kept in memory while the disk takes nothing. */
export const MEMORY_BYTES_MAX = 2 * 1024 * 1024;

const DIRECTORY = "spool";
const COUNTERS_FILE = "spool-counters.json";
const SEQUENCE_DIGITS = 16;
const NAME = /^(\d{16})\.json$/;

const counters = z.strictObject({ dropped: z.int().min(0).max(Number.MAX_SAFE_INTEGER) });

/** `body` only while the disk does not hold it. */
type Entry = { sequence: number; bytes: number; body?: string };

export type Waiting = { sequence: number; body: string };

export type Spool = {
  /** Keeps a heartbeat until {@link Spool.remove}. Makes room by dropping the oldest; never throws. */
  append: (sequence: number, body: string) => void;
  /** The one to send next; files that cannot be read are dropped on the way. */
  oldest: () => Waiting | undefined;
  /** Only after the edge took it. */
  remove: (sequence: number) => void;
  /** Gives a heartbeat up for good and counts it. */
  drop: (sequence: number) => void;
  waiting: () => number;
  dropped: () => number;
  /** Largest sequence number found on disk at the start, -1 without any. */
  lastSequence: number;
};

export type SpoolLimits = { bytesMax: number; countMax: number; memoryBytesMax: number };

/** Removes heartbeats that another machine left in a copied directory. */
export function forgetSpool(stateDirectory: string): void {
  rmSync(join(stateDirectory, DIRECTORY), { recursive: true, force: true });
  removeIfThere(join(stateDirectory, COUNTERS_FILE));
}

/**
 * Heartbeats that the edge has not taken, oldest first: one file each, named by its sequence number, so that a
 * crash can hurt one at most. What was appended is on the disk (fsync) when `append` returns, unless the disk
 * is full or broken: then it waits in memory, within bounds, and moves to disk as soon as that works again.
 */
export function openSpool(
  stateDirectory: string,
  deps: { log: Log; write?: (path: string, content: string) => void },
  limits: SpoolLimits = {
    bytesMax: SPOOL_BYTES_MAX,
    countMax: SPOOL_COUNT_MAX,
    memoryBytesMax: MEMORY_BYTES_MAX,
  },
): Spool {
  const directory = join(stateDirectory, DIRECTORY);
  const write = deps.write ?? writeAtomically;
  const pathOf = (sequence: number): string => join(directory, fileName(sequence));
  const prepare = (): void => void mkdirSync(directory, { recursive: true, mode: 0o700 });
  try {
    prepare();
  } catch {
    // Tried again, and told, with the first heartbeat that has to wait.
  }
  const entries = listEntries(directory);
  let dropped = readDropped(stateDirectory, deps.log);
  let bytesWaiting = entries.reduce((sum, entry) => sum + entry.bytes, 0);
  let bytesInMemory = 0;
  let diskFault: string | undefined;

  /** Counts before it deletes: a crash between the two counts one too many, never one too few. */
  function dropEntry(index: number, reason: string): void {
    const entry = entries[index]!;
    dropped += 1;
    deps.log("warn", "heartbeat.dropped", { sequence: entry.sequence, reason, dropped });
    try {
      writeState(stateDirectory, COUNTERS_FILE, { dropped });
    } catch (cause) {
      deps.log("warn", "spool.count-not-saved", { reason: codeOf(cause) });
    }
    removeEntry(index);
  }

  function removeEntry(index: number): void {
    const [entry] = entries.splice(index, 1);
    if (!entry) return;
    bytesWaiting -= entry.bytes;
    if (entry.body !== undefined) {
      bytesInMemory -= entry.bytes;
      return;
    }
    try {
      removeIfThere(pathOf(entry.sequence));
    } catch (cause) {
      // It may be sent again after a restart: (asset, sequence, sentAt) makes the second one change nothing.
      deps.log("warn", "heartbeat.not-deleted", {
        sequence: entry.sequence,
        reason: codeOf(cause),
      });
    }
  }

  /** Moves one heartbeat from memory to disk. False when the disk does not take it. */
  function settle(entry: Entry, body: string): boolean {
    try {
      prepare();
      write(pathOf(entry.sequence), body);
    } catch (cause) {
      const reason = codeOf(cause);
      if (reason !== diskFault) {
        deps.log("error", "spool.disk-failed", { reason });
      }
      diskFault = reason;
      return false;
    }
    if (diskFault !== undefined) deps.log("info", "spool.disk-recovered");
    diskFault = undefined;
    bytesInMemory -= entry.bytes;
    delete entry.body;
    return true;
  }

  function append(sequence: number, body: string): void {
    const entry: Entry = { sequence, bytes: Buffer.byteLength(body), body };
    const after = entries.findLastIndex((other) => other.sequence < sequence);
    if (entries[after + 1]?.sequence === sequence) return;
    entries.splice(after + 1, 0, entry);
    bytesWaiting += entry.bytes;
    bytesInMemory += entry.bytes;
    while (entries.length > 1 && (entries.length > limits.countMax || bytesWaiting > limits.bytesMax)) {
      dropEntry(0, "the spool is full");
    }
    for (const waiting of entries) {
      if (waiting.body !== undefined && !settle(waiting, waiting.body)) break;
    }
    while (bytesInMemory > limits.memoryBytesMax && entries.length > 1) {
      dropEntry(
        entries.findIndex((other) => other.body !== undefined),
        `the disk takes nothing (${diskFault})`,
      );
    }
  }

  function oldest(): Waiting | undefined {
    for (let entry = entries[0]; entry; entry = entries[0]) {
      if (entry.body !== undefined) return { sequence: entry.sequence, body: entry.body };
      const body = readWhole(pathOf(entry.sequence), entry.sequence);
      if (body !== undefined) return { sequence: entry.sequence, body };
      dropEntry(0, "its file is damaged");
    }
    return undefined;
  }

  const indexOf = (sequence: number): number => entries.findIndex((entry) => entry.sequence === sequence);
  const atIndex = (sequence: number, act: (index: number) => void): void => {
    const index = indexOf(sequence);
    if (index >= 0) act(index);
  };

  return {
    append,
    oldest,
    remove: (sequence) => atIndex(sequence, removeEntry),
    drop: (sequence) => atIndex(sequence, (index) => dropEntry(index, "the edge can never take it")),
    waiting: () => entries.length,
    dropped: () => dropped,
    lastSequence: entries.at(-1)?.sequence ?? -1,
  };
}

/** How many heartbeats wait in a state directory; for another process to look at. */
export function countWaiting(stateDirectory: string): number {
  try {
    return readdirSync(join(stateDirectory, DIRECTORY)).filter((name) => NAME.test(name)).length;
  } catch {
    return 0;
  }
}

const fileName = (sequence: number): string => `${String(sequence).padStart(SEQUENCE_DIGITS, "0")}.json`;

/** None while there is no directory. */
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
    // A crash left a half-written temporary file: it never was a heartbeat.
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

/** Content of a spool file that is one whole heartbeat with the sequence its name says. */
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
