import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { folderOf } from "../../bench/detection/cache.ts";
import { isInstalled } from "../../bench/detection/install.ts";
import { MODEL } from "../../bench/detection/model.ts";
import { programsOf } from "../../bench/detection/program-sets.ts";
import { HELD_OUT } from "../../bench/detection/programs/held-out.ts";
import { ORDINARY } from "../../bench/detection/programs/ordinary.ts";
import { SECOND_HELD_OUT } from "../../bench/detection/programs/second-held-out.ts";
import { TUNING } from "../../bench/detection/programs/tuning.ts";
import type { LabReport } from "../../bench/detection/report-table.ts";
import { describeUnless, missing } from "../support/missing.ts";
import { descendantsOf, isRunning } from "../support/run/descendants.ts";
import { eventually, ROOT } from "../support/stack.ts";

/*
 * Tests that the compiled agent names real programs. These are the programs of the recall lab that need only
 * small downloads. To install them, run `bun run bench detection --set quick --until install`, as .ci/run
 * does.
 */

const { ai, ordinary } = programsOf("quick");
const notInstalled = [MODEL, ...[...ai, ...ordinary].map(({ source }) => source)]
  .filter((source) => !isInstalled(source))
  .map(folderOf);
const needs = [...missing("Linux", "unshare"), ...new Set(notInstalled)];

describe("the list of the recall lab", () => {
  const all = [...TUNING, ...HELD_OUT, ...SECOND_HELD_OUT, ...ORDINARY];

  test("has at least 20 programs for tuning, 20 in each held-out set, 25 ordinary servers, and no name twice", () => {
    expect(TUNING.length).toBeGreaterThanOrEqual(20);
    expect(HELD_OUT.length).toBeGreaterThanOrEqual(20);
    expect(SECOND_HELD_OUT.length).toBeGreaterThanOrEqual(20);
    expect(ORDINARY.length).toBeGreaterThanOrEqual(25);
    expect(new Set(all.map(({ name }) => name)).size).toBe(all.length);
  });

  test("contains no held-out program that is also used for tuning, in any version", () => {
    const sourceOf = ({ source }: (typeof all)[number]) => folderOf(source).replace(/-[0-9a-f]{8}$/, "");
    const tuned = new Set(TUNING.map(sourceOf));
    expect(HELD_OUT.map(sourceOf).filter((one) => tuned.has(one))).toEqual([]);
  });

  test("names exact versions of everything except Debian packages", () => {
    const loose = all.flatMap(({ source }) => {
      switch (source.registry) {
        case "pypi":
          return source.packages.filter((one) => !/^[\w.-]+(\[\w+\])?==\d[\w.]*$/.test(one));
        case "npm":
          return source.packages.filter((one) => !/^(@[\w.-]+\/)?[\w.-]+@\d+\.\d+\.\d+$/.test(one));
        case "go":
          return /@v\d+\.\d+\.\d+$/.test(source.module) ? [] : [source.module];
        default:
          return [];
      }
    });
    expect(loose).toEqual([]);
  });
});

describeUnless(needs, "the quick set of the recall lab", () => {
  const folder = mkdtempSync(join(tmpdir(), "lz-lab-test-"));
  afterAll(() => rmSync(folder, { recursive: true }));
  const start = (...words: string[]) =>
    Bun.spawn([process.execPath, "bench/run.ts", "detection", "--set", "quick", ...words], {
      cwd: ROOT,
      stdout: "pipe",
      stderr: "inherit",
    });
  let report: LabReport;

  beforeAll(async () => {
    const file = join(folder, "report.json");
    const child = start("--report", file);
    const [said, code] = [await new Response(child.stdout).text(), await child.exited];
    console.log(said);
    expect(code).toBe(0);
    expect(existsSync(file)).toBeTrue();
    report = JSON.parse(readFileSync(file, "utf8"));
  }, 300_000);

  test("starts completely", () => {
    expect(report.notStarted).toEqual([]);
    expect(report.started).toBe(ai.length);
    expect(report.ordinary).toBe(ordinary.length);
  });

  test("is named correctly, program by program", () => {
    const faults = report.verdicts.filter(({ outcome }) => outcome !== "right");
    expect(faults.map(({ name, wanted, named }) => ({ name, wanted, named }))).toEqual([]);
    expect([report.recallPercent, report.precisionPercent]).toEqual([100, 100]);
  });

  test("leads to no report of an ordinary server or of anything else", () => {
    expect(report.ordinaryReported).toBe(0);
    expect(report.strays).toEqual([]);
  });

  test("is named within 30 s after it listens", () => {
    const slow = report.verdicts.filter(
      ({ wanted, appearedMs }) => wanted.length > 0 && !(appearedMs! <= 30_000),
    );
    expect(slow.map(({ name, appearedMs }) => ({ name, appearedMs }))).toEqual([]);
  });

  test("leaves no process behind if the lab is killed while it runs", async () => {
    const child = start("--only", "python-http,portkey", "--interval", "60000");
    const seen = new Map<number, ReturnType<typeof descendantsOf>[number]>();
    const look = () => {
      const running = descendantsOf(child.pid);
      for (const one of running) seen.set(one.pid, one);
      return running;
    };
    await eventually(async () => look().some(({ command }) => command.includes("http.server")), 60_000);
    look();
    child.kill("SIGKILL");
    await eventually(async () => [...seen.values()].every((one) => !isRunning(one)), 20_000);
  }, 120_000);
});
