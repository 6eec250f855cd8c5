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

test("lz exits with 2 and one line on stderr for bad arguments", () => {
  const { code, out, err } = lz("isolate");
  expect({ code, out, lines: err.trim().split("\n").length }).toEqual({ code: 2, out: "", lines: 1 });
});

test.each([
  ["an unknown step", ["rotate", "edge", "later", "--env", "package.json"]],
  ["an unknown key", ["rotate", "session", "add", "--env", "package.json"]],
  ["a missing key file", ["rotate", "edge", "add", "--env", "absent.env"]],
  ["a missing policy file", ["policy", "test", "absent.json"]],
  ["an invalid policy", ["policy", "test", "package.json"]],
  ["a missing export", ["audit", "verify", "--file", "absent.jsonl"]],
  ["an invalid export", ["audit", "verify", "--file", "package.json"]],
  ["a number that looks like an option", ["enroll-token", "--uses", "-1"]],
  ["a resolution below 0", ["capacity", "--endpoints", "1", "--resolution=-1"]],
])("lz exits with 2 and one clear line for %s", (_what, argv) => {
  const { code, out, err } = lz(...argv);
  expect({ code, out, lines: err.trim().split("\n").length }).toEqual({ code: 2, out: "", lines: 1 });
  expect(err).not.toContain("ambiguous");
});

test("lz capacity plans with a resolution of 0: every heartbeat is kept", () => {
  const { code, out } = lz("capacity", "--endpoints", "10", "--changes", "0", "--resolution", "0", "--json");
  expect(code).toBe(0);
  expect(JSON.parse(out).writeUnitsPerHeartbeat).toBe(2);
});

test("lz exits with 1 and one line on stderr without a control plane", () => {
  const { code, out, err } = lz("assets", "--json");
  expect({ code, out, lines: err.trim().split("\n").length }).toEqual({ code: 1, out: "", lines: 1 });
});

test("lz prints one JSON value with --json", () => {
  const { code, out } = lz("capacity", "--endpoints", "10000", "--json");
  expect(code).toBe(0);
  expect(JSON.parse(out)).toMatchObject({ heartbeatsPerSecond: 2000 });
});
