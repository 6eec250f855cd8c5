/**
 * Environment variable that marks a standard input held open by the parent process. The parent never writes to
 * it.
 */
export const WITH_PARENT = "LZ_BENCH_PARENT";

/**
 * Ends this bench like SIGTERM when its parent ends, even by SIGKILL: then the pipe of standard input closes.
 * No-op without such a pipe.
 */
export function endWithParent(): void {
  if (process.env[WITH_PARENT] === undefined) return;
  process.stdin.on("end", () => process.kill(process.pid, "SIGTERM")).resume();
}
