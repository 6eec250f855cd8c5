import { readdirSync, readFileSync } from "node:fs";

/** Environment variable that marks a program of the lab. Child processes inherit it. */
const MARK = "LZ_LAB_PROGRAM";
/** Unique value for this lab run, so that two labs on one host do not mix up their programs. */
const LAB = crypto.randomUUID();

const END_MS_MAX = 10_000;
const LOOK_EVERY_MS = 50;

export const markOf = (name: string): Record<string, string> => ({ [MARK]: `${LAB}/${name}` });

const ANCESTORS_MAX = 32;

/**
 * Name of the lab program to which a process belongs. The name comes from the mark in the environment of the
 * process or of an ancestor. Undefined for the lab's own processes.
 */
export function programOf(pid: number): string | undefined {
  let at = pid;
  for (let count = 0; count < ANCESTORS_MAX && at > 1; count += 1) {
    const name = markIn(at);
    if (name !== undefined) return name;
    at = parentOf(at);
  }
  return undefined;
}

function markIn(pid: number): string | undefined {
  const start = `${MARK}=${LAB}/`;
  const words = read(`/proc/${pid}/environ`).split("\0");
  return words.find((word) => word.startsWith(start))?.slice(start.length);
}

const processesOf = (name: string): number[] =>
  readdirSync("/proc")
    .map(Number)
    .filter((pid) => pid > 1 && programOf(pid) === name);

/** Ends all processes of a program, including orphans. Returns the ids of processes that are still running. */
export async function endProgram(name: string): Promise<number[]> {
  const deadline = performance.now() + END_MS_MAX;
  for (;;) {
    const left = processesOf(name);
    if (left.length === 0 || performance.now() > deadline) return left;
    for (const pid of left) {
      try {
        process.kill(pid, "SIGKILL");
      } catch {} // The process has already ended.
    }
    await Bun.sleep(LOOK_EVERY_MS);
  }
}

function parentOf(pid: number): number {
  const stat = read(`/proc/${pid}/stat`);
  return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]) || 0;
}

function read(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return ""; // The process has already ended.
  }
}
