import { readdirSync, readFileSync } from "node:fs";

/** Environment variable that marks every process of a test run, so that remaining processes can be found. */
const MARK = "LZ_MUTATION_RUN";

/** Time limit of one test in milliseconds. The limit of the whole file usually ends it earlier. */
const TEST_MS_MAX = 60_000;

export type Outcome = "passed" | "failed" | "timed out";

export type TestRuns = {
  /** Runs one test file in the tree at `root`, then ends its remaining processes. */
  run(root: string, file: string, limitMs: number): Promise<Outcome>;
  /** Stops all runs. Later ones fail without starting anything. */
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
          detached: true, // starts a process group, so that all its processes can be ended together
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
  } catch {} // the process has ended
}

/**
 * Ids of processes with the mark of a run. Processes that start their own session leave the group, but keep
 * the mark in their environment (Linux).
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
        return false; // the process has ended, or belongs to another user
      }
    });
}
