import { readFileSync } from "node:fs";
import { endWithParent, WITH_PARENT } from "./end-with-parent.ts";

/** Environment variable that is set for programs inside the new namespaces. */
const INSIDE = "LZ_BENCH_OWN_NAMESPACES";

const UNSHARE = ["unshare", "--fork", "--pid", "--net", "--mount-proc", "--kill-child"];

const AGAIN_MS = 200;

/**
 * Sends a signal to the program that `unshare` runs, because `unshare` itself ignores signals. The first
 * process of a PID namespace receives a signal only after it has installed a handler. Therefore the signal is
 * sent repeatedly.
 */
function forwardSignal(unshare: number, signal: NodeJS.Signals): void {
  const send = () => {
    try {
      const inside = Number.parseInt(readFileSync(`/proc/${unshare}/task/${unshare}/children`, "latin1"), 10);
      if (inside > 0) process.kill(inside, signal);
    } catch {} // The program has already ended.
  };
  send();
  setInterval(send, AGAIN_MS);
}

export const isInOwnNamespaces = (): boolean => process.env[INSIDE] !== undefined;

/**
 * Runs this program again in new process and network namespaces, and exits with the exit code of that run. In
 * the namespaces, only processes that the bench starts are visible.
 *
 * Returns true inside the namespaces. Returns false if the system does not allow namespaces. In that case,
 * the figures include the host's other processes.
 */
export async function enterOwnNamespaces(): Promise<boolean> {
  if (isInOwnNamespaces()) {
    endWithParent();
    Bun.spawnSync(["ip", "link", "set", "lo", "up"], { stderr: "ignore" });
    return true;
  }
  const around = [UNSHARE, [...UNSHARE, "--user", "--map-root-user"]].find(
    (command) => Bun.which("unshare") && Bun.spawnSync([...command, "ip", "link", "set", "lo", "up"]).success,
  );
  if (!around) return false;
  const child = Bun.spawn([...around, process.execPath, ...process.argv.slice(1)], {
    env: { ...process.env, [INSIDE]: "1", [WITH_PARENT]: "1" },
    stdio: ["pipe", "inherit", "inherit"],
  });
  endWithParent();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
    process.on(signal, () => forwardSignal(child.pid, signal));
  process.exit(await child.exited);
}
