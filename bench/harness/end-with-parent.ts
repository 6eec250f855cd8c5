/**
 * Environment variable of a process whose standard input is a pipe from its parent. The parent never writes
 * to the pipe.
 */
export const WITH_PARENT = "LZ_BENCH_PARENT";

/**
 * Ends this bench like SIGTERM when its parent ends, even by SIGKILL: the pipe of standard input closes in
 * that case. No-op without such a pipe.
 */
export function endWithParent(): void {
  if (process.env[WITH_PARENT] === undefined) return;
  process.stdin.on("end", () => process.kill(process.pid, "SIGTERM")).resume();
}
