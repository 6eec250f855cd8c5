import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";

/**
 * A file with the process ids of a running stack, one per line. The first line is `bun run start` itself.
 *
 * If `bun run start` is killed (SIGKILL), its parts keep running. A second stack in the same folder would
 * then write the same database. The next start reads the file and says how to stop these parts.
 */

export function writeProcessList(file: string, pids: readonly number[]): void {
  writeFileSync(file, `${pids.join("\n")}\n`, { mode: 0o600 });
}

export const removeProcessList = (file: string): void => rmSync(file, { force: true });

/**
 * Processes to stop. If `bun run start` is running, only its own id, because it stops its parts. Otherwise
 * the ids of the parts that are still running.
 *
 * @param bootedAtMs time of the machine's last boot. The process ids in an older file belong to other
 * processes.
 */
export function runningProcesses(file: string, bootedAtMs: number, isRunning = isProcessRunning): number[] {
  if (!existsSync(file) || statSync(file).mtimeMs < bootedAtMs) return [];
  const [start, ...parts] = readFileSync(file, "utf8").split("\n").filter(Boolean).map(Number);
  return start !== undefined && isRunning(start) ? [start] : parts.filter(isRunning);
}

/**
 * The command that stops these processes. On Windows it kills them, because Windows has no graceful way to
 * stop them.
 */
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
    // EPERM means that the process belongs to another user.
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
