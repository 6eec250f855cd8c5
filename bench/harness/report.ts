import { readFileSync } from "node:fs";
import { cpus } from "node:os";

export const round = (number: number, digits = 2): number => Number(number.toFixed(digits));

export function median(numbers: readonly number[]): number {
  const ascending = [...numbers].sort((a, b) => a - b);
  const middle = ascending.length >> 1;
  return ascending.length % 2 === 1 ? ascending[middle]! : (ascending[middle - 1]! + ascending[middle]!) / 2;
}

/** Description of this machine, added to the result. */
const machine = () => ({ cores: cpus().length, cpu: cpus()[0]?.model ?? "unknown", bun: Bun.version });

const CLOCK_TICKS_PER_SECOND = 100;

/**
 * CPU time in seconds that a process has used so far. Undefined without /proc. `withEnded` adds the time of
 * its children that have ended.
 */
export function cpuSeconds(pid: number, which: "own" | "withEnded" = "own"): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    // The process name may contain spaces and parentheses. The fields after the last parenthesis contain
    // neither (proc(5)).
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const ticks = fields.slice(11, which === "own" ? 13 : 15); // utime, stime, cutime, cstime
    return ticks.reduce((sum, field) => sum + Number(field), 0) / CLOCK_TICKS_PER_SECOND;
  } catch {
    return undefined;
  }
}

/**
 * Paths of figures that were not measured, that is, figures that are null or not finite. Figures that this
 * system cannot measure are absent instead.
 */
export function unmeasured(value: unknown, path = ""): string[] {
  if (typeof value === "number") return Number.isFinite(value) ? [] : [path];
  if (typeof value !== "object") return [];
  if (value === null) return [path];
  return Object.entries(value).flatMap(([name, part]) => unmeasured(part, path ? `${path}.${name}` : name));
}

/** Prints the result with `--json`, as the last line of stdout. Exits with code 1 if a figure was not measured. */
export function finish(isJson: boolean, result: Record<string, unknown>): void {
  const missing = unmeasured(result);
  if (missing.length > 0) {
    console.error(`these figures were not measured: ${missing.join(", ")}`);
    process.exit(1);
  }
  if (isJson) console.log(JSON.stringify({ ...result, machine: machine() }));
}
