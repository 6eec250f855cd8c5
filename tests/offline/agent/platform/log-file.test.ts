import { afterEach, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openLogFile } from "../../../../agent/platform/log-file.ts";
import { removeTemporaryDirectories, temporaryDirectory } from "../report/send-edge.ts";

afterEach(removeTemporaryDirectories);

const never = (line: string): void => {
  throw new Error(`not in the file: ${line}`);
};

test("openLogFile() appends lines to a file that only its owner can read, and creates the directory", () => {
  const path = join(temporaryDirectory(), "logs", "agent.log");
  openLogFile(path, never)("one");
  openLogFile(path, never)("two");
  expect(readFileSync(path, "utf8")).toBe("one\ntwo\n");
  expect([path, join(path, "..")].map((one) => statSync(one).mode & 0o777)).toEqual([0o600, 0o700]);
});

test("openLogFile() keeps one full file, and neither file exceeds the limit", () => {
  const directory = temporaryDirectory();
  const path = join(directory, "agent.log");
  writeFileSync(path, "x".repeat(90));
  const write = openLogFile(path, never, 100);
  write("123456789");
  expect(existsSync(`${path}.1`)).toBe(false);
  expect(statSync(path).size).toBe(100);
  write("a");
  expect(statSync(`${path}.1`).size).toBe(100);
  for (let count = 0; count < 200; count += 1) write(`line ${count}`);
  expect(readdirSync(directory).sort()).toEqual(["agent.log", "agent.log.1"]);
  for (const file of [path, `${path}.1`]) expect(statSync(file).size).toBeLessThanOrEqual(100);
  expect(readFileSync(path, "utf8")).toEndWith("line 199\n");
});

test("openLogFile() uses the other writer while the file is not writable, and then the file again", () => {
  const path = join(temporaryDirectory(), "agent.log");
  mkdirSync(path);
  const lost: string[] = [];
  const write = openLogFile(path, (line) => lost.push(line));
  write("one");
  rmSync(path, { recursive: true });
  write("two");
  expect(lost).toEqual(["one"]);
  expect(readFileSync(path, "utf8")).toBe("two\n");
});
