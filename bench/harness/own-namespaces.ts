import { readFileSync } from "node:fs";
import { endWithParent, WITH_PARENT } from "./end-with-parent.ts";

/** Set in the process that has namespaces of its own. */
const INSIDE = "LZ_BENCH_ALONE";

const UNSHARE = ["unshare", "--fork", "--pid", "--net", "--mount-proc", "--kill-child"];

const AGAIN_MS = 200;

/**
 * Sends a signal to the program that `unshare` waits for, which itself takes none meanwhile. The first process of a
 * namespace gets only those that it handles, so until it does they are sent again.
 */
function tell(unshare: number, signal: NodeJS.Signals): void {
  const send = () => {
    try {
      const inside = Number.parseInt(readFileSync(`/proc/${unshare}/task/${unshare}/children`, "latin1"), 10);
      if (inside > 0) process.kill(inside, signal);
    } catch {} // it has just ended
  };
  send();
  setInterval(send, AGAIN_MS);
}

export const isAlone = (): boolean => process.env[INSIDE] !== undefined;

/**
 * Runs this very program again in process and network namespaces of its own, where a host has as many processes as
 * the bench starts and not one more, and ends with its exit code. Returns when it is there already, or when this
 * system grants none; then the figures are of the host as it is.
 */
export async function beAlone(): Promise<boolean> {
  if (isAlone()) {
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
    process.on(signal, () => tell(child.pid, signal));
  process.exit(await child.exited);
}
