import { resolve } from "node:path";
import { readProcessArguments } from "../shared/command-line/read-process-arguments.ts";

/** Runs the fast checks. Stops at the first one that fails. */

const ROOT = resolve(import.meta.dir, "..");
const STEPS: readonly string[][] = [
  ["run", "format"],
  ["run", "lint"],
  ["run", "types"],
  ["run", "unused"],
  ["tests/run.ts", "offline"],
];
readProcessArguments("bun run ok", {
  summary:
    "format, lint, check types (default, edge, Deno) and run the offline suites; stops at the first failure",
  options: {},
});
for (const step of STEPS) {
  const { exitCode } = Bun.spawnSync([process.execPath, ...step], {
    cwd: ROOT,
    stdio: ["ignore", "inherit", "inherit"],
  });
  if (exitCode !== 0) process.exit(exitCode ?? 1);
}
