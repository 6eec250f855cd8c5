import { expect, test } from "bun:test";
import { join } from "node:path";
import { ROOT } from "../support/stack.ts";

/** The program that each `bun run NAME` starts. No installation is needed before. */
const COMMANDS: [string, string][] = [
  ["start", "local/start.ts"],
  ["test", "tests/run.ts"],
  ["ok", "tests/ok.ts"],
  ["test:agent", "tests/agent-self-test.ts"],
  ["build:agent", "tools/build-agent.ts"],
  ["bench", "bench/run.ts"],
  ["bench mutation", "bench/mutation/mutation.ts"],
  ["lz", "lz/main.ts"],
];
const run = (...argv: string[]) => {
  const ran = Bun.spawnSync([process.execPath, ...argv], { cwd: ROOT, stdout: "pipe", stderr: "pipe" });
  return { code: ran.exitCode, out: ran.stdout.toString(), err: ran.stderr.toString() };
};

test.each(COMMANDS)("bun run %s --help prints the usage", (name, entry) => {
  const { code, out, err } = run(entry, "--help");
  expect({ code, err }).toEqual({ code: 0, err: "" });
  expect(out).toContain(`usage: bun run ${name}`);
});

test("bun run mutation runs bun run bench mutation", async () => {
  const { scripts } = (await Bun.file(join(ROOT, "package.json")).json()) as {
    scripts: Record<string, string>;
  };
  expect(scripts.mutation).toBe(`${scripts.bench} mutation`);
});

test("an interrupted bun run test reports the interruption and counts as failed", async () => {
  const child = Bun.spawn([process.execPath, "tests/run.ts", "e2e"], {
    cwd: ROOT,
    stdout: "pipe",
    stderr: "ignore",
  });
  let out = "";
  for await (const chunk of child.stdout) {
    out += new TextDecoder().decode(chunk);
    if (out.includes("── e2e")) for (let times = 0; times < 3; times++) child.kill("SIGTERM");
  }
  // The program prints these lines even if it receives a second or third signal.
  expect(await child.exited).toBe(1);
  expect(out).toContain("(the run)");
  expect(out).toContain("ended by SIGTERM: the rest did not run");
  expect(out.trimEnd().split("\n").at(-1)).toBe("0 passed, 1 failed");
});

test.each(COMMANDS)("bun run %s exits with 2 and one line for an unknown argument", (_name, entry) => {
  const { code, out, err } = run(entry, "--nothing-like-it");
  expect({ code, out, lines: err.trim().split("\n").length }).toEqual({ code: 2, out: "", lines: 1 });
});
