import { expect, test } from "bun:test";
import { resolve } from "node:path";

const root = resolve(import.meta.dir, "../../..");
const lz = (...argv: string[]) => {
  const ran = Bun.spawnSync([process.execPath, "lz/main.ts", ...argv], {
    cwd: root,
    env: { LZ_LOCAL_DIR: "/nonexistent", PATH: process.env.PATH ?? "" },
    stdout: "pipe",
    stderr: "pipe",
  });
  return { code: ran.exitCode, out: ran.stdout.toString(), err: ran.stderr.toString() };
};

test("lz ends with 2 and one line on stderr for bad arguments", () => {
  const { code, out, err } = lz("isolate");
  expect({ code, out, lines: err.trim().split("\n").length }).toEqual({ code: 2, out: "", lines: 1 });
});

test("lz ends with 1 and one line on stderr when there is nobody to ask", () => {
  const { code, out, err } = lz("assets", "--json");
  expect({ code, out, lines: err.trim().split("\n").length }).toEqual({ code: 1, out: "", lines: 1 });
});

test("lz prints one JSON value with --json", () => {
  const { code, out } = lz("capacity", "--endpoints", "10000", "--json");
  expect(code).toBe(0);
  expect(JSON.parse(out)).toMatchObject({ heartbeatsPerSecond: 2000 });
});
