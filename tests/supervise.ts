import { dlopen } from "bun:ffi";
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { descendantsOf } from "./support/run/descendants.ts";
import { NAMESPACE_PREFIX_VARIABLE } from "./support/run/namespace-id.ts";

/**
 * Runs `bun` with the given arguments. Ends all remaining processes when Bun ends, on a signal, and when
 * standard input closes. tests/run.ts holds the other end of that pipe, so the supervisor also notices when
 * tests/run.ts is killed with SIGKILL.
 *
 * The supervisor searches for its descendants. On Linux it adopts orphans as a child subreaper, so it also
 * finds stages in other process groups, browsers and daemons. On other systems it misses orphans.
 */

/** prctl(2): orphaned descendants become children of the calling process, not of init. */
const PR_SET_CHILD_SUBREAPER = 36;
/** waitpid(2): return immediately. */
const WNOHANG = 1;
const SWEEP_MS_MAX = 5000;
const LOOK_EVERY_MS = 20;
const NAMED_NAMESPACES = "/run/netns";
const SIGNALS = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const;

const namespacePrefix = `lzt${crypto.randomUUID().slice(0, 4)}`;

const C_LIBRARIES = ["libc.so.6", `libc.musl-${process.arch === "arm64" ? "aarch64" : "x86_64"}.so.1`];

function openLibc() {
  for (const name of C_LIBRARIES) {
    try {
      return dlopen(name, {
        prctl: { args: ["i32", "u64"], returns: "i32" },
        waitpid: { args: ["i32", "ptr", "i32"], returns: "i32" },
      }).symbols;
    } catch {} // Try the next C library.
  }
  return undefined;
}

/** @param own returns the id of the child process whose exit code Bun reads itself */
function adoptOrphans(own: () => number | undefined): void {
  if (process.platform !== "linux") return;
  const libc = openLibc();
  if (libc?.prctl(PR_SET_CHILD_SUBREAPER, 1n) !== 0) {
    console.error("cannot adopt orphaned processes: an interrupted run may leave some behind");
    return;
  }
  // Reaps zombies, as init does. Tests wait until a process has ended, and a zombie keeps its process id.
  const children = `/proc/self/task/${process.pid}/children`;
  if (!existsSync(children)) return; // The kernel was built without CONFIG_PROC_CHILDREN.
  setInterval(() => {
    for (const pid of readFileSync(children, "latin1").split(" ").filter(Boolean).map(Number))
      if (pid !== own()) libc.waitpid(pid, null, WNOHANG);
  }, LOOK_EVERY_MS);
}

/** Kills descendants until none is left, because a process can start another one during the search. */
async function killDescendants(): Promise<string[]> {
  const ended = new Map<number, string>();
  const deadline = performance.now() + SWEEP_MS_MAX;
  for (;;) {
    const left = descendantsOf(process.pid);
    if (left.length === 0) return [...ended.values()];
    if (performance.now() > deadline) {
      console.error(`still running: ${left.map(({ pid, command }) => `${pid} ${command}`).join("; ")}`);
      return [...ended.values()];
    }
    for (const { pid, command } of left) {
      ended.set(pid, command);
      try {
        process.kill(pid, "SIGKILL");
      } catch {} // The process has already ended, so there is nothing to kill.
    }
    await Bun.sleep(LOOK_EVERY_MS); // Interval of the poll.
  }
}

/** A network namespace with a name continues to exist after its processes have ended. */
function removeNamespaces(): void {
  if (process.platform !== "linux") return;
  let names: string[] = [];
  try {
    names = readdirSync(NAMED_NAMESPACES).filter((name) => name.startsWith(namespacePrefix));
  } catch {} // The tests created no namespace.
  for (const name of names) {
    Bun.spawnSync(["ip", "netns", "del", name]);
    rmSync(`/etc/netns/${name}`, { recursive: true, force: true });
  }
}

let isEnding = false;
async function end(code: number, isInterrupted: boolean): Promise<void> {
  if (isEnding) return;
  isEnding = true;
  const ended = await killDescendants();
  removeNamespaces();
  if (!isInterrupted && ended.length > 0)
    console.error(`ended what the tests left running:\n  ${ended.join("\n  ")}`);
  process.exit(code);
}

let child: Bun.Subprocess | undefined;
adoptOrphans(() => child?.pid);
for (const [signal, number] of Object.entries(SIGNALS))
  process.on(signal, () => void end(128 + number, true));
process.stdin.on("end", () => void end(1, true)).resume();
child = Bun.spawn([process.execPath, ...process.argv.slice(2)], {
  stdio: ["ignore", "inherit", "inherit"],
  env: { ...process.env, [NAMESPACE_PREFIX_VARIABLE]: namespacePrefix },
});
await end(await child.exited, false);
