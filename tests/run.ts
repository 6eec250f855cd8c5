import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { Command } from "../shared/command-line/options.ts";
import { readProcessArguments } from "../shared/command-line/read-process-arguments.ts";
import { type Report, readReport, retell, type UnpassedTest } from "./report.ts";

/** Runs the suites one after the other, adds up their results, and repeats all failures at the end. */

/** Root of the repository. Tests of this program set another root. */
const ROOT = resolve(process.env.LZ_TEST_ROOT ?? join(import.meta.dir, ".."));
const SUPERVISOR = join(import.meta.dir, "supervise.ts");

const SUITES = {
  offline: "pure parts and contracts, no network",
  runtimes: "the edge on Deno, workerd and Bun, over real sockets",
  connected: "the stages against the embedded DynamoDB and SQS, with faults",
  e2e: "the whole stack with the compiled agent, as a user starts it",
  browser: "the dashboard in Chromium",
} as const;
type Suite = keyof typeof SUITES;

/** Number of test files that run in parallel. Tests spend much of their time waiting. */
const FILES_AT_ONCE: Record<Suite, number> = { offline: 2, runtimes: 3, connected: 2, e2e: 1, browser: 2 };
/**
 * Test files that scan the whole host. Each of these files runs alone, because its scan would probe the
 * servers of other tests.
 */
const ALONE = /\.alone\.test\.ts$/;

const COMMAND: Command = {
  summary: "run test suites: all of them, or those you name",
  moreOperands: { name: "SUITE", of: Object.keys(SUITES), help: "a suite to run" },
  options: {},
  tables: [{ title: "Suites:", rows: SUITES }],
};

/** Faults of the run itself, such as a test file that is missing from the report. */
function faultsOf(files: readonly string[], code: number, report: Report): UnpassedTest[] {
  const untold = files.filter((path) => !report.files.has(path));
  if (untold.length > 0)
    return untold.map((file) => ({
      file,
      name: "(the file)",
      message: "is not in the report: it ended with an error outside of its tests, or has none",
    }));
  if (code === 0 || report.failed.length > 0) return [];
  const message = `ended with code ${code} though no test failed`;
  return [{ file: files[0]!, name: "(the run)", message }];
}

async function runFiles(files: readonly string[], atOnce: number, path: string): Promise<Report> {
  const command = [
    "test",
    ...files.map((file) => `./${file}`),
    "--reporter=junit",
    `--reporter-outfile=${path}`,
    "--timeout=60000",
    ...(atOnce > 1 ? [`--parallel=${atOnce}`] : []),
  ];
  const child = Bun.spawn([process.execPath, SUPERVISOR, ...command], {
    cwd: ROOT,
    // This pipe closes when the test runner ends for any reason. The supervisor then ends all processes that
    // the tests started.
    stdio: ["pipe", "inherit", "inherit"],
    // A signal to this process group must not end the supervisor. It ends only after all other processes.
    detached: true,
  });
  underway = { file: files[0]!, child };
  const code = await child.exited;
  if (isInterrupted) await new Promise(() => {}); // The signal handler ends the run.
  underway = undefined;
  // An interrupted run has no report. All of its files then count as failed.
  const report = readReport(existsSync(path) ? readFileSync(path, "utf8") : "");
  return { ...report, failed: [...report.failed, ...faultsOf(files, code, report)] };
}

async function runSuite(suite: Suite, folder: string): Promise<Report[]> {
  console.log(`\n── ${suite}: ${SUITES[suite]}`);
  const files = [...new Bun.Glob(`tests/${suite}/**/*.test.ts`).scanSync(ROOT)]
    .map((path) => path.replaceAll("\\", "/"))
    .sort();
  const runs = [
    { files: files.filter((file) => !ALONE.test(file)), atOnce: FILES_AT_ONCE[suite] },
    { files: files.filter((file) => ALONE.test(file)), atOnce: 1 },
  ];
  const reports: Report[] = [];
  for (const [at, { files, atOnce }] of runs.entries())
    if (files.length > 0) reports.push(await runFiles(files, atOnce, join(folder, `${suite}-${at}.xml`)));
  return reports;
}

const { operands: named } = readProcessArguments("bun run test", COMMAND);
const suites = (named.length > 0 ? named : Object.keys(SUITES)) as Suite[];
const folder = mkdtempSync(join(tmpdir(), "lz-tests-"));
const failed: UnpassedTest[] = [];
const skipped: UnpassedTest[] = [];
let passed = 0;
const startedAt = performance.now();
let underway: { file: string; child: Bun.Subprocess } | undefined;
let isInterrupted = false;
for (const signal of ["SIGHUP", "SIGINT", "SIGTERM"] as const)
  process.on(signal, async () => {
    // Each program between the terminal and this process forwards the signal, so the signal arrives several
    // times.
    if (isInterrupted) return;
    isInterrupted = true;
    underway?.child.kill("SIGTERM");
    await underway?.child.exited;
    const message = `ended by ${signal}: the rest did not run`;
    failed.push({ file: underway?.file ?? "tests", name: "(the run)", message });
    conclude();
  });
for (const suite of suites) {
  for (const report of await runSuite(suite, folder)) {
    passed += report.passed;
    failed.push(...report.failed);
    skipped.push(...report.skipped);
  }
}
conclude();

function conclude(): never {
  rmSync(folder, { recursive: true });
  const retold = retell({ failed, skipped });
  if (retold) console.log(`\n${retold}`);
  console.log(`\n${suites.join(", ")} in ${((performance.now() - startedAt) / 1000).toFixed(0)} s`);
  // With CI=true, a skipped test counts as failed.
  const isCi = process.env.CI === "true";
  const failures = failed.length + (isCi ? skipped.length : 0);
  console.log(
    `${passed} passed, ${failures} failed${isCi || skipped.length === 0 ? "" : `, ${skipped.length} skipped`}`,
  );
  process.exit(failures > 0 ? 1 : 0);
}
