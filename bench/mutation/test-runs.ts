import { readdirSync, readFileSync } from "node:fs";

/** Environment variable that marks every process of a test run, to find processes that remain after the run. */
const MARK = "LZ_MUTATION_RUN";

/** Timeout of a single test in milliseconds. The timeout of the whole file usually expires earlier. */
const TEST_MS_MAX = 60_000;

export type Outcome = "passed" | "failed" | "timed out";

export type TestRuns = {
  /** Runs one test file in the copied tree at `root`, then ends all processes of the run that remain. */
  run(root: string, file: string, limitMs: number): Promise<Outcome>;
  /** Stops all runs. If a run is requested later, it fails without starting a process. */
  stop(): void;
};

export function createTestRuns(): TestRuns {
  const underway = new Set<() => void>();
  let isStopped = false;
  return {
    async run(root, file, limitMs) {
      if (isStopped) return "failed";
      const mark = crypto.randomUUID();
      const child = Bun.spawn(
        [process.execPath, "test", `./${file}`, "--bail=1", `--timeout=${TEST_MS_MAX}`],
        {
          cwd: root,
          env: { ...process.env, [MARK]: mark },
          stdio: ["ignore", "ignore", "ignore"],
          detached: true, // Start a process group, so that all its processes can be ended together.
        },
      );
      const end = () => {
        kill(-child.pid);
        for (const pid of markedProcesses(mark)) kill(pid);
      };
      underway.add(end);
      let isLate = false;
      const timer = setTimeout(() => {
        isLate = true;
        end();
      }, limitMs);
      const code = await child.exited;
      clearTimeout(timer);
      end();
      underway.delete(end);
      if (isLate) return "timed out";
      return code === 0 ? "passed" : "failed";
    },
    stop() {
      isStopped = true;
      for (const end of underway) end();
    },
  };
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {} // The process has already ended.
}

/**
 * Ids of processes that have the mark of a run. A process that starts its own session leaves the process
 * group, but its environment still contains the mark (Linux).
 */
function markedProcesses(mark: string): number[] {
  if (process.platform !== "linux") return [];
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/environ`, "latin1").includes(`${MARK}=${mark}`);
      } catch {
        return false; // The process has ended, or it belongs to another user.
      }
    });
}
