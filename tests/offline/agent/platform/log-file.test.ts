import { afterEach, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openLogFile } from "../../../../agent/platform/log-file.ts";
import { removeTemporaryDirectories, temporaryDirectory } from "../report/send-edge.ts";

afterEach(removeTemporaryDirectories);

const never = (line: string): void => {
  throw new Error(`not in the file: ${line}`);
};

test("openLogFile() appends lines to what is there, for its owner only, and makes the directory", () => {
  const path = join(temporaryDirectory(), "logs", "agent.log");
  openLogFile(path, never)("one");
  openLogFile(path, never)("two");
  expect(readFileSync(path, "utf8")).toBe("one\ntwo\n");
  expect([path, join(path, "..")].map((one) => statSync(one).mode & 0o777)).toEqual([0o600, 0o700]);
});

test("openLogFile() keeps one full file beside the one it writes, and never more than its limit in either", () => {
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

test("openLogFile() gives lines to another writer while the file takes none, and comes back to it", () => {
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
