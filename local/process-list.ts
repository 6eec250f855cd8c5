import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";

/**
 * Process ids of a running stack, one per line, the start itself first. SIGKILL of the start leaves its parts running, and a second stack on the
 * same folder would write the same database: the next start reads the list and says how to stop them.
 */

export function writeProcessList(file: string, pids: readonly number[]): void {
  writeFileSync(file, `${pids.join("\n")}\n`, { mode: 0o600 });
}

export const removeProcessList = (file: string): void => rmSync(file, { force: true });

/**
 * What to stop: the start if it still runs, because it stops its parts; else the parts that still run.
 *
 * @param bootedAtMs when this machine started: ids of an older list belong to other processes by now
 */
export function runningProcesses(file: string, bootedAtMs: number, isRunning = isProcessRunning): number[] {
  if (!existsSync(file) || statSync(file).mtimeMs < bootedAtMs) return [];
  const [start, ...parts] = readFileSync(file, "utf8").split("\n").filter(Boolean).map(Number);
  return start !== undefined && isRunning(start) ? [start] : parts.filter(isRunning);
}

/** The command that ends those processes in an orderly way where the platform has one. */
export const stopCommand = (platform: NodeJS.Platform, pids: readonly number[]): string =>
  platform === "win32"
    ? `taskkill /F ${pids.map((pid) => `/PID ${pid}`).join(" ")}`
    : `kill ${pids.join(" ")}`;

function isProcessRunning(pid: number): boolean {
  if (!Number.isSafeInteger(pid) || pid < 1) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // A process of another user.
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
