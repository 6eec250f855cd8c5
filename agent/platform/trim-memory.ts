import { dlopen } from "bun:ffi";
import { readFileSync, readlinkSync } from "node:fs";

/**
 * First interval between two releases of memory, in milliseconds. Memory is released after the first scan.
 * The following intervals double from one minute to one hour.
 */
const AGAIN_MS = 60_000;
const AGAIN_MS_MAX = 3_600_000;
/** madvise(2), asm-generic/mman-common.h */
const MADV_DONTNEED = 4;

export type Memory = {
  /** Call this function after each scan. Most calls do nothing. A release of memory takes a few milliseconds. */
  settle(): void;
};

/**
 * Keeps the resident memory of a daemon small. The start and the first scan use about 15 MB of the runtime's
 * code that later scans do not need. The pages of this code are unchanged copies of the executable file. The
 * kernel can free these pages, and reads a page again when the process uses it. A garbage collection runs
 * before the release.
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
    // Without madvise(2) or /proc, the memory stays resident. Nothing else depends on the release of memory.
  }
}

/**
 * Mappings of the executable whose pages are all equal to the file, from proc_pid_smaps(5). Such a mapping is
 * private (`p`), is not writable and has no copied pages (`Anonymous` is 0 kB). A relocated page counts as
 * copied.
 */
export function unchangedPages(smaps: string, executable: string): { start: number; bytes: number }[] {
  const found: { start: number; bytes: number }[] = [];
  // Most of the text describes other mappings. Searching for the path is faster than splitting all lines.
  for (let at = smaps.indexOf(executable); at >= 0; at = smaps.indexOf(executable, at + 1)) {
    const lineAt = smaps.lastIndexOf("\n", at) + 1;
    const pathEnd = at + executable.length;
    const [, from, to, permissions] = MAPPING.exec(smaps.slice(lineAt, at)) ?? [];
    if (from === undefined || smaps[pathEnd] !== "\n" || !/^r-[-x]p$/.test(permissions!)) continue;
    const anonymous = ANONYMOUS.exec(smaps.slice(pathEnd, pathEnd + DETAILS_CHARACTERS_MAX));
    const start = Number.parseInt(from, 16);
    if (anonymous?.[1] === "0") found.push({ start, bytes: Number.parseInt(to!, 16) - start });
  }
  return found;
}

const MAPPING = /^([0-9a-f]+)-([0-9a-f]+) (\S{4}) [0-9a-f]+ \S+ \d+\s*$/;
const ANONYMOUS = /^Anonymous:\s+(\d+) kB$/m;
/** Maximum number of characters in the lines that describe a mapping, up to and including `Anonymous`. */
const DETAILS_CHARACTERS_MAX = 1024;
