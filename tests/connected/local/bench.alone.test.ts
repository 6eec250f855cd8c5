import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describeUnless, missing, testUnless } from "../../support/missing.ts";
import { descendantsOf, isRunning, type Process } from "../../support/run/descendants.ts";
import { eventually, ROOT } from "../../support/stack.ts";

/* Runs every benchmark with its smallest options and checks the members of its JSON output. Speed is not checked. */

type Range = readonly [min: number, max: number];
type Bench = {
  needs: string[];
  small: string;
  /** Figures that the JSON output must contain, with their allowed ranges. Dots separate the segments of a path. */
  figures: Record<string, Range>;
};

const MS: Range = [0, 120_000];
const MICROS: Range = [0, 1_000_000];
const PER_SECOND: Range = [1, 10_000_000];
const RATIO: Range = [0.0001, 1000];
const NONE: Range = [0, 0];
const exactly = (number: number): Range => [number, number];

const BENCHES: Record<string, Bench> = {
  ingest: {
    needs: [],
    small:
      "--rounds 1 --seconds 1 --open 1 --warm 0 --sample 1 --servers bun --assets 10 --connections 16 --rate 100",
    figures: {
      ratioToBare: RATIO,
      perSecond: PER_SECOND,
      p99Ms: MS,
      notAccepted: NONE,
      "servers.bare.perSecond": PER_SECOND,
      "stepsMicros.verify signature": MICROS,
    },
  },
  pipeline: {
    needs: [],
    small: "--endpoints 20 --seconds 5 --interval 1000",
    figures: {
      endpoints: exactly(20),
      sent: [120, 140], // Number of heartbeats: those of the ramp-up and of five rounds, with a few duplicates.
      accepted: [120, 140],
      notAccepted: NONE,
      lost: NONE,
      doubled: NONE,
      p99Ms: MS,
      queueAgeP99Ms: MS,
      // At most one send, one receive and one delete for each heartbeat, plus receives without messages.
      sqsRequestsPerHeartbeat: [3 / 100, 4],
      writeUnitsPerHeartbeat: [0.001, 1],
      "proof.witnesses.expected": exactly(60),
    },
  },
  worker: {
    needs: [],
    small: "--rounds 1 --milliseconds 50 --assets 40",
    figures: { unchangedPerSecond: PER_SECOND, changedPerSecond: PER_SECOND, heartbeatBytes: [1000, 10_000] },
  },
  incidents: {
    needs: [],
    small: "--items 1000 --small 1000 --open 10 --queries 10",
    figures: { ratioLargeToSmall: RATIO, p99Ms: MS, items: exactly(1000) },
  },
  day: {
    needs: [],
    small: "--assets 42 --hours 1 --seconds 60",
    // Of 42 assets, only the one asset with a risk gets an item every hour.
    figures: {
      heartbeats: exactly(42 * 60),
      risky: exactly(60),
      incidents: exactly(1),
      samples: [1, 42 * 60],
      unchanged: [0, 42 * 60],
    },
  },
  agent: {
    needs: missing("Linux"),
    small: "--processes 60 --engines 2 --scans 2 --interval 500",
    figures: {
      engines: exactly(2),
      found: exactly(2),
      reported: [2, 100], // Where namespaces are not available, the result includes the engines of this host.
      cpuPercent: [0, 1000],
      rssMb: [1, 10_000],
      firstScanMs: MS,
      repeatScanMs: MS,
    },
  },
  containment: {
    needs: missing("Linux"),
    small: "--runs 2 --interval 200 --way poll",
    figures: { runs: exactly(2), p50Ms: MS, p99Ms: MS, "poll.release.p99Ms": MS },
  },
  dashboard: {
    needs: [],
    small: "--assets 10 --pages 10",
    figures: { assets: exactly(10), coldMs: MS, coldAloneMs: MS, warmP50Ms: MS, warmP95Ms: MS, countMs: MS },
  },
  herd: {
    needs: [],
    small: "--hosts 20 --changes 20",
    figures: {
      "oneNode.enrolled": exactly(20),
      "oneNode.enrolRefused": exactly(10),
      "oneNode.changed": exactly(20),
      "oneNode.unavailable": NONE,
      "twoNodes.enrolled": exactly(20),
      "twoNodes.changed": exactly(20),
      "twoNodes.policyChanged": exactly(1),
      "twoNodes.custodyRecords": exactly(21),
      "twoNodes.custodyFaults": NONE,
      "twoNodes.unavailable": NONE,
      "twoNodes.errors": NONE,
      "twoNodes.retries": [0, 100_000],
      "twoNodes.enrolSeconds": [0, 120],
      "twoNodes.changeSeconds": [0, 120],
    },
  },
  mutation: {
    needs: [],
    small: "--mutants 2 --file shared/wire/directive.ts",
    figures: {
      "mutation.score": [0, 1],
      "mutation.killed": [0, 2],
      "mutation.survived": [0, 2],
      "mutation.sampled": exactly(2),
      "mutation.notRun": NONE,
    },
  },
  detection: {
    needs: missing("Linux"),
    small: "--set ordinary --only python-http --appear 1",
    figures: {
      started: NONE,
      ordinary: exactly(1),
      ordinaryReported: NONE,
      precisionPercent: exactly(100),
    },
  },
};

const folder = mkdtempSync(join(tmpdir(), "lz-bench-test-"));
afterAll(() => rmSync(folder, { recursive: true }));

const spawn = (environment: Record<string, string>, ...words: string[]) =>
  Bun.spawn([process.execPath, "bench/run.ts", ...words], {
    cwd: ROOT,
    env: { ...process.env, ...environment },
    stdout: "pipe",
    stderr: "pipe",
  });

async function run(...words: string[]): Promise<{ code: number; out: string; err: string }> {
  const child = spawn({ TMPDIR: folder }, ...words);
  const [out, err] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  return { code: await child.exited, out, err };
}

const lastLine = (text: string): string => text.trimEnd().split("\n").at(-1)!;

/** Returns every number in a JSON value, with its path. */
function numbersOf(value: unknown, path: string[] = []): [string, unknown][] {
  if (typeof value === "string") return [];
  if (typeof value !== "object" || value === null) return [[path.join("."), value]];
  return Object.entries(value).flatMap(([name, part]) => numbersOf(part, [...path, name]));
}

describe("bun run bench", () => {
  test("lists exactly the benchmarks of this test", async () => {
    const { code, out, err } = await run("nothing-like-it");
    expect({ code, out }).toEqual({ code: 2, out: "" });
    const listed = /give (.+); see/.exec(err)?.[1]?.split(/, | or /);
    expect(listed?.toSorted()).toEqual(Object.keys(BENCHES).sort());
    expect(err.trim().split("\n")).toHaveLength(1);
  });

  describe.each(Object.keys(BENCHES))("%s", (name) => {
    test("exits with 2 and one line for an unknown option or an invalid number", async () => {
      const [, whole] = /--(\S+) N/.exec((await run(name, "--help")).out)!;
      const wrong = [["--nothing-like-it"], [`--${whole}`, "-1"], [`--${whole}`, "x"], ["word"]];
      const ended = await Promise.all(
        wrong.map(async (words) => ({ words, ...(await run(name, ...words, "--json")) })),
      );
      for (const { words, code, out, err } of ended) {
        expect({ words, code, out, lines: err.trim().split("\n").length }).toEqual({
          words,
          code: 2,
          out: "",
          lines: 1,
        });
        expect(err).toStartWith(`bun run bench ${name}: `);
      }
    });
  });

  for (const [name, { needs, small, figures }] of Object.entries(BENCHES)) {
    testUnless(
      needs,
      `${name} measures a small case and prints its figures as one JSON object at the end`,
      async () => {
        const { code, out, err } = await run(name, ...small.split(" "), "--json");
        expect({ code, ...(code !== 0 && { err }) }).toEqual({ code: 0 });
        const told = new Map(numbersOf(JSON.parse(lastLine(out))));
        const wrong = Object.entries(figures).filter(([path, [min, max]]) => {
          const figure = told.get(path);
          return !(typeof figure === "number" && figure >= min && figure <= max);
        });
        expect(wrong.map(([path, range]) => ({ path, range, told: told.get(path) }))).toEqual([]);
        expect([...told].filter(([, number]) => !Number.isFinite(number))).toEqual([]);
      },
    );
  }
});

/**
 * For each benchmark, the process that must be running when the benchmark is interrupted, and the command
 * line options of the benchmark.
 */
const IN_THE_MIDDLE: Record<string, readonly [moment: RegExp, words: string, start?: RegExp]> = {
  ingest: [/bench\/load\/main\.ts/, "--servers bun"],
  pipeline: [/bench\/load\/main\.ts/, "--endpoints 20"],
  incidents: [/dynoxide.* import /, ""],
  agent: [/bench\/load\/engine-server\.ts/, "--processes 60"],
  containment: [/agent\/main\.ts run/, "--way poll"],
  dashboard: [/edge\/bun\.ts/, "--assets 1000 --pages 100000"],
  herd: [/edge\/bun\.ts/, "--hosts 5000"],
  detection: [
    /http\.server/,
    "--set ordinary --only python-http --interval 60000",
    /agent\/main\.ts --outfile/,
  ],
  mutation: [
    / test .*apply-directive\.test\.ts/,
    "--file shared/wire/directive.ts",
    / test .*wire\/directive\.test\.ts/,
  ],
};
/** Matches the database, which is the first process of the stack. At this moment it has started but is not ready. */
const AT_THE_START = /dynoxide.* serve /;
const LOOK_EVERY_MS = 10;

/**
 * Sends SIGTERM to a benchmark as soon as one of its descendants has this command line. Then kills all
 * remaining descendants and returns them.
 */
async function interrupt(name: string, moment: RegExp, words: string) {
  const own = mkdtempSync(join(folder, `${name}-`));
  const child = spawn({ TMPDIR: own }, name, ...words.split(" ").filter(Boolean));
  const err = new Response(child.stderr).text();
  const seen = new Map<string, Process>();
  const look = (): Process[] => {
    const running = descendantsOf(child.pid);
    for (const one of running) seen.set(`${one.pid} ${one.startedAt}`, one);
    return running;
  };
  const left = () => [...seen.values()].filter(isRunning);
  try {
    while (!look().some(({ command }) => moment.test(command))) {
      if (child.exitCode !== null) throw new Error(`ended before the moment came: ${await err}`);
      await Bun.sleep(LOOK_EVERY_MS);
    }
    child.kill("SIGTERM");
    while (child.exitCode === null) {
      look();
      await Bun.sleep(LOOK_EVERY_MS);
    }
    // Killed processes can take a moment to end.
    await eventually(async () => left().length === 0).catch(() => {});
    const processes = left().map(({ command }) => command);
    return { code: child.exitCode, err: await err, left: { processes, files: readdirSync(own) } };
  } finally {
    child.kill("SIGKILL");
    for (const { pid } of left()) process.kill(pid, "SIGKILL");
  }
}

describeUnless(missing("Linux"), "a benchmark that receives SIGTERM", () => {
  const cases = Object.entries(IN_THE_MIDDLE).flatMap(([name, [middle, words, start]]) => [
    [name, "at the start", start ?? AT_THE_START, words] as const,
    [name, "in the middle", middle, words] as const,
  ]);
  test.each(cases)("%s leaves no process and no file behind: %s", async (name, _when, moment, words) => {
    const { code, err, left } = await interrupt(name, moment, words);
    expect({ code, left }).toEqual({ code: 1, left: { processes: [], files: [] } });
    expect(err).toContain("cannot measure: stopped by SIGTERM\n");
  });

  const alone = Object.keys(BENCHES).filter((name) => !Object.hasOwn(IN_THE_MIDDLE, name));
  test.each(alone)("%s starts no process and ends immediately", async (name) => {
    const { code, left } = await interrupt(name, new RegExp(`bench/\\w+/${name}\\.ts`), "");
    expect({ code, left }).toEqual({ code: 128 + 15, left: { processes: [], files: [] } });
  });
});
