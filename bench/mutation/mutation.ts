import { readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { readArguments } from "../harness/arguments.ts";
import { finish, round } from "../harness/report.ts";
import { inScope, type Scope } from "../harness/scope.ts";
import { type Equivalent, isOf } from "./equivalents.ts";
import { apply } from "./mutators.ts";
import { type Candidate, candidatesOf, sample } from "./sample.ts";
import { TARGETS } from "./targets.ts";
import { createTestRuns, type TestRuns } from "./test-runs.ts";
import { copyTree, type Tree } from "./tree.ts";

/*
 * Mutation testing of the high-risk modules. Applies one mutant at a time and checks whether the tests of the
 * module fail. StrykerJS 10 cannot be used here, because it needs Node 22 and the JavaScript API of
 * TypeScript, which TypeScript 7 does not have.
 */

const ROOT = resolve(import.meta.dir, "../..");
/**
 * Number of test runs at the same time. Two is enough for a machine with two cores, because the tests spend
 * most of their time waiting.
 */
const AT_ONCE = 2;
/**
 * Timeout of a mutant's test run: a multiple of the duration on unchanged code, plus a few seconds in case
 * the machine is busy.
 */
const LIMIT_FACTOR = 3;
const LIMIT_EXTRA_MS = 5_000;
const BASELINE_MS_MAX = 120_000;
/**
 * Maximum time in seconds for the baseline and for mutants that are still running at the end. This time is in
 * addition to `--minutes`.
 */
const FINISH_SECONDS_MAX = 600;
const DIFF_LINES_MAX = 8;

const { json, numbers, texts } = readArguments(
  "mutation",
  "Changes the high-risk modules one mutant at a time and counts how many changes their tests notice.",
  {
    mutants: { min: 1, max: 100_000, default: 300, says: "number of mutants to sample from the files" },
    seed: {
      min: 0,
      max: 999_999_999,
      default: 20261130,
      says: "seed of the sample; the same seed selects the same mutants",
    },
    minutes: {
      min: 1,
      max: 600,
      default: 25,
      says: "time in minutes after which no further mutant is tested",
    },
  },
  { file: { of: ["all", ...Object.keys(TARGETS)], says: "file to mutate" } },
);

type Fate = "killed" | "timed out" | "survived" | "equivalent" | "not run";
type Tried = Candidate & { fate: Fate; claim?: Equivalent };

const files = Object.keys(TARGETS).filter((file) => texts.file === "all" || file === texts.file);
const sources = new Map(files.map((file) => [file, readFileSync(join(ROOT, file), "utf8")]));
const equivalents: Equivalent[] = JSON.parse(readFileSync(join(import.meta.dir, "equivalents.json"), "utf8"));
const picked = sample(
  files.flatMap((file) => candidatesOf(file, sources.get(file)!)),
  numbers.mutants,
  numbers.seed,
);
const endsAt = performance.now() + numbers.minutes * 60_000;

report(await inScope(numbers.minutes * 60 + FINISH_SECONDS_MAX, mutationRun));

async function mutationRun(scope: Scope): Promise<Tried[]> {
  const runs = createTestRuns();
  const trees: Tree[] = [];
  scope.keep(() => {
    runs.stop();
    for (const tree of trees) tree.remove();
  });
  for (let at = 0; at < AT_ONCE; at++) trees.push(copyTree(ROOT));
  const limits = await baseline(runs, trees, [...new Set(picked.map(({ file }) => file))]);
  return tryAll(runs, trees, limits);
}

/**
 * Runs the test files on unchanged code and returns their timeouts. Throws an error if a test fails in this
 * run, because mutation results would then mean nothing.
 */
async function baseline(
  runs: TestRuns,
  trees: readonly Tree[],
  files: readonly string[],
): Promise<Map<string, number>> {
  const tests = [...new Set(files.flatMap((file) => TARGETS[file]!))];
  const limits = new Map<string, number>();
  const queue = [...tests];
  await Promise.all(
    trees.map(async ({ root }) => {
      for (let test = queue.shift(); test; test = queue.shift()) {
        const startedAt = performance.now();
        const outcome = await runs.run(root, test, BASELINE_MS_MAX);
        if (outcome !== "passed")
          throw new Error(`${test} ${outcome} on unchanged code: fix this test first`);
        limits.set(test, (performance.now() - startedAt) * LIMIT_FACTOR + LIMIT_EXTRA_MS);
      }
    }),
  );
  return limits;
}

async function tryAll(
  runs: TestRuns,
  trees: readonly Tree[],
  limits: ReadonlyMap<string, number>,
): Promise<Tried[]> {
  const queue = [...picked];
  const tried: Tried[] = [];
  await Promise.all(
    trees.map(async ({ root }) => {
      for (let mutant = queue.shift(); mutant; mutant = queue.shift()) {
        const claim = equivalents.find(isOf(mutant));
        const fate = claim?.confirmed ? "equivalent" : await tryOne(runs, root, mutant, limits);
        tried.push({ ...mutant, fate, ...(claim && { claim }) });
        if (fate === "survived")
          console.log(`${describe(mutant)}${claim ? `\n    claimed equivalent: ${claim.reason}` : ""}`);
      }
    }),
  );
  return tried;
}

async function tryOne(
  runs: TestRuns,
  root: string,
  mutant: Candidate,
  limits: ReadonlyMap<string, number>,
): Promise<Fate> {
  if (performance.now() > endsAt) return "not run";
  const source = sources.get(mutant.file)!;
  const path = join(root, mutant.file);
  writeFileSync(path, apply(source, mutant));
  try {
    for (const test of TARGETS[mutant.file]!) {
      const outcome = await runs.run(root, test, limits.get(test)!);
      if (outcome === "failed") return "killed";
      if (outcome === "timed out") return "timed out";
    }
    return "survived";
  } finally {
    writeFileSync(path, source);
  }
}

function describe({ file, line, operator, from, to }: Candidate): string {
  const lines = (text: string, sign: string) => {
    const all = text.split("\n");
    const shown = all.slice(0, DIFF_LINES_MAX).map((shown) => `    ${sign} ${shown}`);
    return all.length > DIFF_LINES_MAX
      ? [...shown, `    ${sign} … ${all.length - DIFF_LINES_MAX} more lines`]
      : shown;
  };
  return [`survived  ${file}:${line}  (${operator})`, ...lines(from, "-"), ...lines(to, "+")].join("\n");
}

type Counts = Record<"killed" | "timedOut" | "survived" | "equivalent" | "notRun", number>;

function countsOf(tried: readonly Tried[]): Counts & { score: number } {
  const count = (fate: Fate) => tried.filter((mutant) => mutant.fate === fate).length;
  const timedOut = count("timed out");
  // A mutant that makes the tests hang counts as killed.
  const killed = count("killed") + timedOut;
  const survived = count("survived");
  const score = killed + survived === 0 ? 1 : round(killed / (killed + survived), 4);
  return { score, killed, survived, timedOut, equivalent: count("equivalent"), notRun: count("not run") };
}

function report(tried: readonly Tried[]): void {
  const perFile = Object.fromEntries(
    files.map((file) => [file, countsOf(tried.filter((mutant) => mutant.file === file))]),
  );
  console.log("\n score  killed survived equivalent not run  file");
  for (const [file, counts] of Object.entries(perFile))
    console.log(
      `${(counts.score * 100).toFixed(1).padStart(5)}% ${String(counts.killed).padStart(7)} ${String(counts.survived).padStart(8)} ${String(counts.equivalent).padStart(10)} ${String(counts.notRun).padStart(7)}  ${file}`,
    );
  const all = countsOf(tried);
  console.log(
    `${(all.score * 100).toFixed(1)}% of ${all.killed + all.survived} mutants killed, seed ${numbers.seed}` +
      `${all.timedOut ? `, ${all.timedOut} of them by the time limit` : ""}` +
      `${all.notRun ? `; ${all.notRun} not run within ${numbers.minutes} minutes` : ""}`,
  );
  const survivors = tried
    .filter(({ fate }) => fate === "survived")
    .map(({ file, line, operator, from, to, claim }) => ({
      file,
      line,
      operator,
      from,
      to,
      ...(claim ? { claimedEquivalent: claim.reason } : {}),
    }));
  finish(json, {
    mutation: { ...all, seed: numbers.seed, sampled: picked.length },
    files: perFile,
    survivors,
  });
}
