import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  removeProcessList,
  runningProcesses,
  stopCommand,
  writeProcessList,
} from "../../../local/process-list.ts";

describe("the process list of a start", () => {
  let folder: string;
  let file: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "lz-pids-"));
    file = join(folder, "pids");
    writeProcessList(file, [11, 12, 13]);
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  test("names only the start while it runs, because it stops its parts", () => {
    expect(runningProcesses(file, 0, () => true)).toEqual([11]);
  });

  test("names the running parts if the start has ended", () => {
    expect(runningProcesses(file, 0, (pid) => pid === 13)).toEqual([13]);
    expect(runningProcesses(file, 0, () => false)).toEqual([]);
  });

  test("is ignored if it is older than the last boot, and if it does not exist", () => {
    expect(runningProcesses(file, Date.now() + 60_000, () => true)).toEqual([]);
    removeProcessList(file);
    expect(runningProcesses(file, 0, () => true)).toEqual([]);
  });

  test("detects that this process runs and that an invalid id does not", () => {
    writeProcessList(file, [2 ** 30, process.pid]);
    expect(runningProcesses(file, 0)).toEqual([process.pid]);
  });
});

test("stopCommand() is the command of the platform", () => {
  expect(stopCommand("linux", [4, 5])).toBe("kill 4 5");
  expect(stopCommand("darwin", [4])).toBe("kill 4");
  expect(stopCommand("win32", [4, 5])).toBe("taskkill /F /PID 4 /PID 5");
});
