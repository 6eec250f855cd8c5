import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createExecutables } from "../../../../../agent/scan/processes/executable-hashes.ts";
import { inProcessReader } from "../../../../../agent/scan/reader/file-reader.ts";
import { createReads } from "../../../../../agent/scan/reader-process/perform-reads.ts";
import { type Files, realFiles } from "../../../../../agent/scan/system/files.ts";

const home = mkdtempSync(join(tmpdir(), "collect-executables-"));
afterAll(() => rmSync(home, { recursive: true, force: true }));

const inPlace = (files: Files) => ({ files, reader: inProcessReader(createReads(files)) });

test("executables.sha256Remote() reads a file in the reader process", async () => {
  const path = join(home, "remote");
  writeFileSync(path, "a program");
  const here: string[] = [];
  const files = realFiles();
  const facts = (file: string) => {
    here.push(file);
    return files.facts(file);
  };
  const watched = { ...files, facts };
  const reader = inProcessReader(createReads(files));
  const executables = createExecutables({ files: watched, reader, elapsed: () => 0, cpuMs: () => 0 });
  expect(executables.sha256Remote(path, "7:1:x")).toBeUndefined();
  await Bun.sleep(0);
  const expected = new Bun.CryptoHasher("sha256").update("a program").digest("hex");
  expect(executables.sha256Remote(path, "7:1:x")).toBe(expected);
  expect(here).toEqual([]);
});

test("executables.sha256() spreads a large file over scans and hashes an unchanged one once", () => {
  const path = join(home, "large");
  writeFileSync(path, new Uint8Array(1024 * 1024));
  let now = 0;
  let read = 0;
  const files = realFiles();
  const slow = {
    ...files,
    bytes: (file: string, offset: number, length: number, into?: Uint8Array) => {
      now += 30;
      read += 1;
      return files.bytes(file, offset, length, into);
    },
  };
  const executables = createExecutables({ ...inPlace(slow), elapsed: () => now, cpuMs: () => now });
  const digests: (string | undefined)[] = [];
  for (let scan = 0; scan < 6; scan += 1) {
    executables.begin();
    digests.push(executables.sha256(path));
  }
  const expected = new Bun.CryptoHasher("sha256").update(new Uint8Array(1024 * 1024)).digest("hex");
  expect(digests[0]).toBeUndefined();
  expect(digests.at(-1)).toBe(expected);
  expect(read).toBe(4);
});

test("executables.sha256() hashes little in the first scan, and has five times its budget in the second", () => {
  const path = join(home, "larger");
  writeFileSync(path, new Uint8Array(8 * 1024 * 1024));
  let now = 0;
  const files = realFiles();
  const reads: number[] = [];
  const slow = {
    ...files,
    bytes: (...args: Parameters<typeof files.bytes>) => {
      now += 1;
      reads.push(reads.pop()! + 1);
      return files.bytes(...args);
    },
  };
  const executables = createExecutables({ ...inPlace(slow), elapsed: () => now, cpuMs: () => now });
  for (let scan = 0; scan < 3; scan += 1) {
    reads.push(0);
    executables.begin();
    executables.sha256(path);
  }
  // Each scan makes one read more than its budget allows, because the budget is checked before a read and not
  // after it.
  expect(reads).toEqual([4, 16, 4]);
});

test("executables.sha256() hashes a large file completely in a single scan", () => {
  const path = join(home, "largest");
  writeFileSync(path, new Uint8Array(8 * 1024 * 1024));
  let now = 0;
  const files = realFiles();
  const slow = {
    ...files,
    bytes: (...args: Parameters<typeof files.bytes>) => {
      now += 1;
      return files.bytes(...args);
    },
  };
  const hashedIn = (hashMs: number) => {
    const executables = createExecutables({ ...inPlace(slow), elapsed: () => now, cpuMs: () => now }, hashMs);
    executables.begin();
    return executables.sha256(path);
  };
  expect(hashedIn(32)).toMatch(/^[0-9a-f]{64}$/);
  expect(hashedIn(30)).toBeUndefined();
});
