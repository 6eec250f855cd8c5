/** Set where standard input is a pipe that the parent holds and never writes to. */
export const WITH_PARENT = "LZ_BENCH_PARENT";

/**
 * Ends this bench as SIGTERM does when its parent has ended in whatever way, by SIGKILL too: then the pipe closes. Without
 * such a pipe nothing happens.
 */
export function endWithParent(): void {
  if (process.env[WITH_PARENT] === undefined) return;
  process.stdin.on("end", () => process.kill(process.pid, "SIGTERM")).resume();
}
