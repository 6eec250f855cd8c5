import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "../support/stack.ts";

const page = readFileSync(join(ROOT, "docs/architecture.md"), "utf8");

/** Maximum number of hops in each section of the page docs/architecture.md. */
const HOPS_MAX: Record<string, number> = {
  "In the agent": 5,
  "In the edge": 5,
  "In the worker": 5,
  "From a person to the table": 8,
  "From the table to the host": 5,
};

const sectionOf = (title: string): string => page.split(`### ${title}\n`)[1]!.split(/^##/m)[0]!;
const stepsOf = (title: string): string[] =>
  sectionOf(title)
    .split(/^\d+\. /m)
    .slice(1);
const hopsOf = (text: string): string[] => [...text.matchAll(/\*\*`([^`]+)`\*\*/g)].map(([, path]) => path!);
const filesOf = (text: string): string[] =>
  [...text.matchAll(/`([a-z]+\/[\w./-]+)`/g)].map(([, path]) => path!);

for (const [title, max] of Object.entries(HOPS_MAX))
  test(`the section ${title} has one hop in each step and at most ${max} hops`, () => {
    const steps = stepsOf(title);
    expect(steps.length).toBeGreaterThan(3);
    expect(steps.length).toBeLessThanOrEqual(max);
    for (const step of steps) expect(hopsOf(step)).toHaveLength(1);
  });

test("the page has no hops outside these sections", () => {
  const listed = Object.keys(HOPS_MAX).flatMap((title) => hopsOf(sectionOf(title)));
  expect(hopsOf(page)).toEqual(listed);
});

/** Folders with code that is independent of heartbeats and isolations. The page does not name their files. */
const LIBRARY = /^edge\/(?:http|platform|runtime|credentials)\//;

test("a heartbeat and an isolation enter the files of the edge that the page names, and no others", async () => {
  const traced = Bun.spawn([process.execPath, "tests/support/edge/trace-requests.ts"], {
    cwd: ROOT,
    stdout: "pipe",
  });
  const entered = (await new Response(traced.stdout).json()) as Record<
    "heartbeat" | "isolation",
    { status: number; files: string[] }
  >;
  for (const [request, title] of [
    ["heartbeat", "In the edge"],
    ["isolation", "From a person to the table"],
  ] as const) {
    const { status, files } = entered[request];
    expect(status).toBe(202);
    const section = sectionOf(title);
    expect(hopsOf(section).filter((path) => !files.includes(path))).toEqual([]);
    const named = new Set(filesOf(section));
    // admit-heartbeat.ts is left out, because it compares the path of every request with the path of
    // heartbeats.
    const unnamed = files.filter((path) => !LIBRARY.test(path) && !named.has(path));
    expect(unnamed.filter((path) => path !== "edge/heartbeat/admit-heartbeat.ts")).toEqual([]);
  }
}, 30_000);
