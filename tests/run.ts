import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

/** Runs the suites one after the other and adds up what they say. */

const ROOT = resolve(import.meta.dir, "..");

const SUITES = {
  offline: "pure parts and contracts, no network",
  runtimes: "the edge on Deno, workerd and Bun, over real sockets",
  connected: "the stages against the embedded DynamoDB and SQS, with faults",
  e2e: "the whole stack with the compiled agent, as a user starts it",
  browser: "the dashboard in Chromium",
} as const;
type Suite = keyof typeof SUITES;

type Counts = { passed: number; failed: number; skipped: number };

function usage(): never {
  console.error(`usage: bun run test [${Object.keys(SUITES).join("|")}] …`);
  process.exit(2);
}

/** Counts of a run from bun's JUnit report. A run that left no report counts as one failure. */
function readCounts(report: string): Counts {
  try {
    const root = /<testsuites [^>]*>/.exec(readFileSync(report, "utf8"))![0];
    const count = (name: string) => Number(new RegExp(`${name}="(\\d+)"`).exec(root)?.[1] ?? 0);
    const failed = count("failures");
    const skipped = count("skipped");
    return { passed: count("tests") - failed - skipped, failed, skipped };
  } catch {
    return { passed: 0, failed: 1, skipped: 0 };
  }
}

async function runSuite(suite: Suite, folder: string): Promise<Counts> {
  console.log(`\n── ${suite}: ${SUITES[suite]}`);
  const report = join(folder, `${suite}.xml`);
  const command = [
    "test",
    `./tests/${suite}`,
    "--reporter=junit",
    `--reporter-outfile=${report}`,
    "--timeout=60000",
  ];
  const child = Bun.spawn([process.execPath, ...command], {
    cwd: ROOT,
    stdio: ["ignore", "inherit", "inherit"],
  });
  const code = await child.exited;
  const counts = readCounts(report);
  // An error outside of any test fails the run and is in no count of its own.
  if (code !== 0 && counts.failed === 0) counts.failed = 1;
  // In CI nothing may be left out: what did not run has failed.
  if (process.env.CI === "true") return { ...counts, failed: counts.failed + counts.skipped, skipped: 0 };
  return counts;
}

const named = process.argv.slice(2);
if (named.some((name) => !Object.hasOwn(SUITES, name))) usage();
const suites = (named.length > 0 ? named : Object.keys(SUITES)) as Suite[];
const folder = mkdtempSync(join(tmpdir(), "lz-tests-"));
const total: Counts = { passed: 0, failed: 0, skipped: 0 };
const startedAt = performance.now();
for (const suite of suites) {
  const counts = await runSuite(suite, folder);
  total.passed += counts.passed;
  total.failed += counts.failed;
  total.skipped += counts.skipped;
}
rmSync(folder, { recursive: true });
console.log(`\n${suites.join(", ")} in ${((performance.now() - startedAt) / 1000).toFixed(0)} s`);
const skipped = total.skipped > 0 ? `, ${total.skipped} skipped` : "";
console.log(`${total.passed} passed, ${total.failed} failed${skipped}`);
process.exit(total.failed > 0 ? 1 : 0);
