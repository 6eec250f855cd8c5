import { resolve } from "node:path";

/** The fast loop: what each step finds wrong ends it. */

const ROOT = resolve(import.meta.dir, "..");
const STEPS: readonly string[][] = [
  ["run", "format"],
  ["run", "lint"],
  ["run", "types"],
  ["tests/run.ts", "offline"],
];
const HELP = [
  "usage: bun run ok",
  "",
  "Formats, lints, checks types (default, edge, Deno) and runs the offline suites. Stops at the first that fails.",
].join("\n");

const [argument] = process.argv.slice(2);
if (argument === "--help" || argument === "-h") {
  console.log(HELP);
  process.exit(0);
}
if (argument !== undefined) {
  console.error(`unknown argument ${JSON.stringify(argument)}: see bun run ok --help`);
  process.exit(2);
}
for (const step of STEPS) {
  const { exitCode } = Bun.spawnSync([process.execPath, ...step], {
    cwd: ROOT,
    stdio: ["ignore", "inherit", "inherit"],
  });
  if (exitCode !== 0) process.exit(exitCode ?? 1);
}
