import { readdirSync, readFileSync } from "node:fs";

/** Set in the environment of everything a test run starts, so that what outlives the run is found. */
const MARK = "LZ_MUTATION_RUN";

/** One test may take this long; the time limit of the whole file ends it before. */
const TEST_MS_MAX = 60_000;

export type Outcome = "passed" | "failed" | "timed out";

export type TestRuns = {
  /** Runs one test file in the tree at `root` and stops whatever it left running. */
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
          detached: true, // a process group of its own, which can be ended as a whole
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
  } catch {} // it has ended
}

/** Processes in sessions of their own leave the group; on Linux their environment still names the run. */
function markedProcesses(mark: string): number[] {
  if (process.platform !== "linux") return [];
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/environ`, "latin1").includes(`${MARK}=${mark}`);
      } catch {
        return false; // it has ended, or belongs to another user
      }
    });
}
