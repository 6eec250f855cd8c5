import { dlopen } from "bun:ffi";
import { readFileSync, readlinkSync } from "node:fs";

/** After the first scan, and then ever more rarely: what a program needs to start and for rare tasks is not kept. */
const AGAIN_MS = 60_000;
const AGAIN_MS_MAX = 3_600_000;
/** madvise(2), asm-generic/mman-common.h */
const MADV_DONTNEED = 4;

export type Memory = {
  /** To be called after each scan. Does something once an hour at last, and costs some milliseconds then. */
  settle(): void;
};

/**
 * Keeps the resident memory of a daemon small. Starting and the first scan run through code of the runtime that no
 * later scan needs, some 15 MB of it; those pages are unchanged copies of the executable's file, so that the kernel
 * may have them back and reads one again if it is ever needed. Garbage of the first scan goes with them.
 */
export function createMemory(deps: { platform: string; elapsed: () => number }): Memory {
  let nextAtMs = Number.NEGATIVE_INFINITY;
  let againMs = AGAIN_MS;
  return {
    settle: () => {
      if (deps.elapsed() < nextAtMs) return;
      nextAtMs = deps.elapsed() + againMs;
      againMs = Math.min(againMs * 2, AGAIN_MS_MAX);
      Bun.gc(true);
      if (deps.platform === "linux") dropCode();
    },
  };
}

function dropCode(): void {
  try {
    const executable = readlinkSync("/proc/self/exe");
    const { symbols, close } = dlopen("libc.so.6", {
      madvise: { args: ["u64", "u64", "i32"], returns: "i32" },
    });
    for (const { start, bytes } of unchangedPages(readFileSync("/proc/self/smaps", "latin1"), executable))
      symbols.madvise(start, bytes, MADV_DONTNEED);
    close();
  } catch {
    // Memory that cannot be given back is kept: nothing else depends on it.
  }
}

/**
 * Mappings of the executable, from proc_pid_smaps(5), whose pages are all as they are in the file: not writable,
 * private to the process (`p`), and none of them an own copy (`Anonymous` is zero), as relocated ones are.
 */
export function unchangedPages(smaps: string, executable: string): { start: number; bytes: number }[] {
  const found: { start: number; bytes: number }[] = [];
  let current: { start: number; bytes: number } | undefined;
  for (const line of smaps.split("\n")) {
    const [, from, to, permissions, path] = MAPPING.exec(line) ?? [];
    if (from !== undefined) {
      const start = Number.parseInt(from, 16);
      const isCode = path === executable && /^r-[-x]p$/.test(permissions!);
      current = isCode ? { start, bytes: Number.parseInt(to!, 16) - start } : undefined;
    } else if (current && /^Anonymous:\s+0 kB$/.test(line)) {
      found.push(current);
      current = undefined;
    }
  }
  return found;
}

const MAPPING = /^([0-9a-f]+)-([0-9a-f]+) (\S{4}) [0-9a-f]+ \S+ \d+\s*(.*)$/;
