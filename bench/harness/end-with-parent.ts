/**
 * Environment variable of a process whose standard input is a pipe from its parent. The parent never writes
 * to the pipe.
 */
export const WITH_PARENT = "LZ_BENCH_PARENT";

/**
 * Ends this bench, as SIGTERM would, when its parent ends. This works even if the parent is killed with
 * SIGKILL, because the standard input pipe then closes. No-op if standard input is not such a pipe.
 */
export function endWithParent(): void {
  if (process.env[WITH_PARENT] === undefined) return;
  process.stdin.on("end", () => process.kill(process.pid, "SIGTERM")).resume();
}
