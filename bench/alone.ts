/** Set in the process that has namespaces of its own. */
const INSIDE = "LZ_BENCH_ALONE";

const UNSHARE = ["unshare", "--fork", "--pid", "--net", "--mount-proc", "--kill-child"];

/**
 * Runs this very program again in process and network namespaces of its own, where a host has as many processes as
 * the bench starts and not one more, and ends with its exit code. Returns when it is there already, or when this
 * system grants none; then the figures are of the host as it is.
 */
export async function beAlone(): Promise<boolean> {
  if (process.env[INSIDE] !== undefined) {
    Bun.spawnSync(["ip", "link", "set", "lo", "up"], { stderr: "ignore" });
    return true;
  }
  const around = [UNSHARE, [...UNSHARE, "--user", "--map-root-user"]].find(
    (command) => Bun.which("unshare") && Bun.spawnSync([...command, "ip", "link", "set", "lo", "up"]).success,
  );
  if (!around) return false;
  const child = Bun.spawn([...around, process.execPath, ...process.argv.slice(1)], {
    env: { ...process.env, [INSIDE]: "1" },
    stdio: ["ignore", "inherit", "inherit"],
  });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => child.kill(signal));
  process.exit(await child.exited);
}
