import { afterEach, describe, expect, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { silent } from "../../../../agent/platform/log.ts";
import {
  countWaiting,
  MEMORY_BYTES_MAX,
  openSpool,
  SPOOL_BYTES_MAX,
  SPOOL_COUNT_MAX,
  type SpoolLimits,
} from "../../../../agent/report/spool.ts";
import { removeTemporaryDirectories, temporaryDirectory } from "./send-edge.ts";

afterEach(removeTemporaryDirectories);

const body = (sequence: number, padding = 0): string =>
  JSON.stringify({ sequence, padding: "x".repeat(padding) });
const LIMITS: SpoolLimits = { bytesMax: 1_000_000, countMax: 100, memoryBytesMax: 10_000 };
const full = (): never => {
  throw Object.assign(new Error("ENOSPC: no space left on device"), { code: "ENOSPC" });
};

function drain(spool: ReturnType<typeof openSpool>): number[] {
  const order: number[] = [];
  for (let next = spool.oldest(); next; next = spool.oldest()) {
    order.push(next.sequence);
    spool.remove(next.sequence);
  }
  return order;
}

describe("openSpool()", () => {
  test("returns heartbeats of an earlier process, oldest first, and none after remove()", () => {
    const directory = temporaryDirectory();
    const first = openSpool(directory, { log: silent }, LIMITS);
    for (const sequence of [7, 5, 1000, 6]) first.append(sequence, body(sequence));
    const second = openSpool(directory, { log: silent }, LIMITS);
    expect(second.waiting()).toBe(4);
    expect(second.lastSequence).toBe(1000);
    expect(drain(second)).toEqual([5, 6, 7, 1000]);
    expect(readdirSync(join(directory, "spool"))).toEqual([]);
    expect(openSpool(directory, { log: silent }, LIMITS).lastSequence).toBe(-1);
  });

  test("keeps a heartbeat that was read but not removed", () => {
    const directory = temporaryDirectory();
    const spool = openSpool(directory, { log: silent }, LIMITS);
    spool.append(1, body(1));
    expect(spool.oldest()?.body).toBe(body(1));
    expect(openSpool(directory, { log: silent }, LIMITS).oldest()?.sequence).toBe(1);
  });

  test("drops the oldest heartbeat at the count limit, and keeps the number of dropped ones after a restart", () => {
    const directory = temporaryDirectory();
    const spool = openSpool(directory, { log: silent }, { ...LIMITS, countMax: 3 });
    for (const sequence of [1, 2, 3]) spool.append(sequence, body(sequence));
    expect(spool.dropped()).toBe(0);
    spool.append(4, body(4));
    expect(spool.dropped()).toBe(1);
    const again = openSpool(directory, { log: silent }, { ...LIMITS, countMax: 3 });
    expect(again.dropped()).toBe(1);
    expect(drain(again)).toEqual([2, 3, 4]);
  });

  test("drops the oldest heartbeat above the byte limit, and none exactly at the limit", () => {
    const size = body(1, 100).length;
    const exact = openSpool(temporaryDirectory(), { log: silent }, { ...LIMITS, bytesMax: size * 2 });
    for (const sequence of [1, 2]) exact.append(sequence, body(sequence, 100));
    expect(exact.dropped()).toBe(0);
    const short = openSpool(temporaryDirectory(), { log: silent }, { ...LIMITS, bytesMax: size * 2 - 1 });
    for (const sequence of [1, 2]) short.append(sequence, body(sequence, 100));
    expect(short.dropped()).toBe(1);
    expect(drain(short)).toEqual([2]);
  });

  test("skips a damaged file, a file with a wrong number and an incomplete file, and counts them as dropped", () => {
    const directory = temporaryDirectory();
    const spool = openSpool(directory, { log: silent }, LIMITS);
    for (const sequence of [1, 2, 3, 4]) spool.append(sequence, body(sequence, 50));
    const file = (sequence: number): string =>
      join(directory, "spool", `${String(sequence).padStart(16, "0")}.json`);
    writeFileSync(file(1), "\u0000\u0000\u0000");
    writeFileSync(file(2), body(9));
    writeFileSync(file(3), body(3, 50).slice(0, 20));
    const again = openSpool(directory, { log: silent }, LIMITS);
    expect(drain(again)).toEqual([4]);
    expect(again.dropped()).toBe(3);
  });

  test("returns the next intact heartbeat after a damaged one", () => {
    const directory = temporaryDirectory();
    const spool = openSpool(directory, { log: silent }, LIMITS);
    for (const sequence of [1, 2, 3]) spool.append(sequence, body(sequence));
    writeFileSync(join(directory, "spool", "0000000000000001.json"), "{");
    expect(drain(spool)).toEqual([2, 3]);
    expect(spool.dropped()).toBe(1);
  });

  test("tries to write once per heartbeat while the disk fails, and writes all waiting heartbeats afterwards", () => {
    let isFull = true;
    const tried: string[] = [];
    const write = (path: string, content: string): void => {
      tried.push(path.slice(-7, -5));
      if (isFull) full();
      writeFileSync(path, content);
    };
    const spool = openSpool(temporaryDirectory(), { log: silent, write }, LIMITS);
    for (const sequence of [1, 2, 3]) spool.append(sequence, body(sequence));
    expect(tried.splice(0)).toEqual(["01", "01", "01"]);
    isFull = false;
    for (const sequence of [4, 5]) spool.append(sequence, body(sequence));
    expect(tried).toEqual(["01", "02", "03", "04", "05"]);
  });

  test("reads the saved number of dropped heartbeats, even if it is 0, without a log line", () => {
    for (const [saved, read, said] of [
      ['{"dropped":0}', 0, 0],
      ['{"dropped":7}', 7, 0],
      [`{"dropped":${Number.MAX_SAFE_INTEGER}}`, Number.MAX_SAFE_INTEGER, 0],
      ['{"dropped":1.5}', 0, 1],
      ['{"dropped":7,"more":1}', 0, 1],
    ] as const) {
      const directory = temporaryDirectory();
      writeFileSync(join(directory, "spool-counters.json"), saved);
      const lines: string[] = [];
      const spool = openSpool(directory, { log: (_level, line) => lines.push(line) }, LIMITS);
      expect([saved, spool.dropped(), lines.length]).toEqual([saved, read, said]);
    }
  });

  test("deletes incomplete files of a crash, and does not count them", () => {
    const directory = temporaryDirectory();
    openSpool(directory, { log: silent }, LIMITS);
    writeFileSync(join(directory, "spool", "0000000000000001.json.tmp"), "{");
    const spool = openSpool(directory, { log: silent }, LIMITS);
    expect([spool.waiting(), spool.dropped()]).toEqual([0, 0]);
    expect(readdirSync(join(directory, "spool"))).toEqual([]);
  });

  test("waits in memory and in order while the disk is full, and writes to disk afterwards", () => {
    const directory = temporaryDirectory();
    const said: string[] = [];
    let isFull = false;
    const write = (path: string, content: string): void => {
      if (isFull) full();
      writeFileSync(path, content);
    };
    const spool = openSpool(directory, { log: (_level, message) => said.push(message), write }, LIMITS);
    spool.append(1, body(1));
    isFull = true;
    spool.append(2, body(2));
    spool.append(3, body(3));
    expect(countWaiting(directory)).toBe(1);
    expect(spool.waiting()).toBe(3);
    expect(said).toEqual(["spool.disk-failed"]);
    isFull = false;
    spool.append(4, body(4));
    expect(countWaiting(directory)).toBe(4);
    expect(drain(spool)).toEqual([1, 2, 3, 4]);
  });

  test("limits its memory while the disk is full: drops and counts the oldest heartbeat in memory", () => {
    const spool = openSpool(
      temporaryDirectory(),
      { log: silent, write: full },
      { ...LIMITS, memoryBytesMax: 2500 },
    );
    for (const sequence of [1, 2, 3, 4]) spool.append(sequence, body(sequence, 1000));
    expect(spool.dropped()).toBe(2);
    expect(drain(spool)).toEqual([3, 4]);
  });

  test("drop() counts the heartbeat, remove() does not, and both ignore an unknown number", () => {
    const spool = openSpool(temporaryDirectory(), { log: silent }, LIMITS);
    spool.append(1, body(1));
    spool.append(2, body(2));
    spool.append(2, body(2));
    expect(spool.waiting()).toBe(2);
    spool.drop(1);
    spool.remove(2);
    spool.remove(77);
    spool.drop(77);
    expect([spool.waiting(), spool.dropped()]).toEqual([0, 1]);
  });

  describe("frees the space of a heartbeat", () => {
    const bodyOf = (sequence: number) => body(sequence, 102 - String(sequence).length);
    const size = bodyOf(1).length;
    const limits = { ...LIMITS, bytesMax: 3 * size, memoryBytesMax: 2 * size };
    const fill = (spool: ReturnType<typeof openSpool>, from: number, count: number): void => {
      for (let at = 0; at < count; at++) spool.append(from + at, bodyOf(from + at));
    };

    test("after it was sent, so that the capacity stays the same over time", () => {
      const spool = openSpool(temporaryDirectory(), { log: silent }, limits);
      for (let round = 1; round <= 5; round++) {
        fill(spool, round, 3);
        expect(spool.dropped()).toBe(0);
        expect(drain(spool)).toHaveLength(3);
      }
    });

    test("after it was dropped", () => {
      const spool = openSpool(temporaryDirectory(), { log: silent }, limits);
      fill(spool, 1, 9);
      expect([spool.dropped(), spool.waiting()]).toEqual([6, 3]);
      for (const sequence of [7, 8]) spool.drop(sequence);
      fill(spool, 1, 2);
      expect([spool.dropped(), spool.waiting()]).toEqual([8, 3]);
    });

    test("after a restart, by the sizes of the files on disk", () => {
      const directory = temporaryDirectory();
      fill(openSpool(directory, { log: silent }, limits), 1, 3);
      const spool = openSpool(directory, { log: silent }, limits);
      spool.remove(1);
      fill(spool, 4, 1);
      expect(spool.dropped()).toBe(0);
      fill(spool, 5, 1);
      expect(spool.dropped()).toBe(1);
    });

    test("in memory, after it was written to disk or accepted by the edge", () => {
      let isFull = true;
      const write = (path: string, content: string): void => {
        if (isFull) full();
        writeFileSync(path, content);
      };
      const spool = openSpool(
        temporaryDirectory(),
        { log: silent, write },
        { ...limits, bytesMax: 9 * size },
      );
      for (let round = 1; round <= 3; round++) {
        isFull = true;
        fill(spool, 10 * round, 2);
        expect(spool.dropped()).toBe(0);
        expect(drain(spool)).toHaveLength(2);
        fill(spool, 10 * round + 3, 2);
        isFull = false;
        fill(spool, 10 * round + 5, 1); // Writes the two waiting heartbeats too.
        expect(drain(spool)).toHaveLength(3);
        expect(spool.dropped()).toBe(0);
      }
    });
  });

  test("holds 32 MiB or 10,000 heartbeats on disk, and 2 MiB in memory, by default", () => {
    expect([SPOOL_BYTES_MAX, SPOOL_COUNT_MAX, MEMORY_BYTES_MAX]).toEqual([33_554_432, 10_000, 2_097_152]);
    const long = (sequence: number): string => body(sequence, 1024 * 1024 - 100);
    const disk = openSpool(temporaryDirectory(), { log: silent, write: writeFileSync });
    for (let sequence = 1; sequence <= 33; sequence++) disk.append(sequence, long(sequence));
    expect([disk.waiting(), disk.dropped()]).toEqual([32, 1]);
    const memory = openSpool(temporaryDirectory(), { log: silent, write: full });
    for (let sequence = 1; sequence <= 4; sequence++) memory.append(sequence, long(sequence));
    expect([memory.waiting(), memory.dropped()]).toEqual([2, 2]);
  });

  test("keeps its only heartbeat, even if it exceeds the limits", () => {
    for (const write of [writeFileSync, full]) {
      const spool = openSpool(
        temporaryDirectory(),
        { log: silent, write },
        { bytesMax: 10, countMax: 0, memoryBytesMax: 10 },
      );
      spool.append(1, body(1));
      expect([spool.waiting(), spool.dropped()]).toEqual([1, 0]);
      spool.append(2, body(2));
      expect([spool.oldest()?.sequence, spool.waiting(), spool.dropped()]).toEqual([2, 1, 1]);
    }
  });

  test("logs each disk fault once, and the recovery", () => {
    const said: string[] = [];
    let fault: string | undefined;
    const write = (path: string, content: string): void => {
      if (fault) throw Object.assign(new Error(), { code: fault });
      writeFileSync(path, content);
    };
    const log = (level: string, event: string, fields: object = {}) =>
      said.push([level, event, ...Object.values(fields)].join(" "));
    const spool = openSpool(temporaryDirectory(), { log, write }, LIMITS);
    for (const [sequence, code] of [undefined, "ENOSPC", "ENOSPC", "EROFS", undefined, undefined].entries()) {
      fault = code;
      spool.append(sequence, body(sequence));
    }
    expect(said).toEqual([
      "error spool.disk-failed ENOSPC",
      "error spool.disk-failed EROFS",
      "info spool.disk-recovered",
    ]);
  });

  test("logs which heartbeat it dropped and why, and continues if the count or the file cannot be changed", () => {
    const directory = temporaryDirectory();
    const said: string[] = [];
    const log = (level: string, event: string, fields: object = {}) =>
      said.push(`${level} ${event} ${JSON.stringify(fields)}`);
    const spool = openSpool(directory, { log }, { ...LIMITS, countMax: 2 });
    for (const sequence of [1, 2, 3]) spool.append(sequence, body(sequence));
    spool.drop(2);
    const file = join(directory, "spool", "0000000000000003.json");
    rmSync(file);
    mkdirSync(join(file, "in the way"), { recursive: true });
    mkdirSync(join(directory, "spool-counters.json.tmp"));
    expect(spool.oldest()).toBeUndefined();
    expect(said).toEqual([
      'warn heartbeat.dropped {"sequence":1,"reason":"the spool is full","dropped":1}',
      'warn heartbeat.dropped {"sequence":2,"reason":"the edge will never accept it","dropped":2}',
      'warn heartbeat.dropped {"sequence":3,"reason":"its file is damaged","dropped":3}',
      'warn spool.count-not-saved {"reason":"EISDIR"}',
      'warn heartbeat.not-deleted {"sequence":3,"reason":"EISDIR"}',
    ]);
    expect(spool.waiting()).toBe(0);
    expect(openSpool(directory, { log: silent }, LIMITS).dropped()).toBe(2);
  });

  test("logs why it drops heartbeats from memory, and that a damaged count was reset", () => {
    const directory = temporaryDirectory();
    writeFileSync(join(directory, "spool-counters.json"), '{"dropped":-1}');
    const said: string[] = [];
    const log = (_level: string, event: string, fields: { reason?: unknown } = {}) =>
      said.push(`${event}: ${fields.reason}`);
    const spool = openSpool(directory, { log, write: full }, { ...LIMITS, memoryBytesMax: 30 });
    for (const sequence of [1, 2]) spool.append(sequence, body(sequence));
    expect(said).toEqual([
      "spool.count-lost: undefined",
      "spool.disk-failed: ENOSPC",
      "heartbeat.dropped: the disk cannot be written (ENOSPC)",
    ]);
  });

  test("ignores files with other names, and treats a spool file without a heartbeat as damaged", () => {
    const directory = temporaryDirectory();
    openSpool(directory, { log: silent }, LIMITS);
    const put = (name: string, text: string) => writeFileSync(join(directory, "spool", name), text);
    for (const name of ["12.json", "x0000000000000012.json", "0000000000000012.jsonx", "notes.txt"])
      put(name, "{}");
    put("0000000000000001.json", "null");
    put("0000000000000002.json", "2");
    put("0000000000000003.json", "{}");
    put("0000000000000004.json", body(4));
    const spool = openSpool(directory, { log: silent }, LIMITS);
    expect([spool.waiting(), countWaiting(directory), spool.lastSequence]).toEqual([4, 4, 4]);
    expect([drain(spool), spool.dropped()]).toEqual([[4], 3]);
    expect(readdirSync(join(directory, "spool"))).toHaveLength(4);
  });

  test("creates its directory again for the owner only, and does not open if a file has its name", () => {
    const blocked = temporaryDirectory();
    writeFileSync(join(blocked, "spool"), "a file");
    expect(() => openSpool(blocked, { log: silent }, LIMITS)).toThrow("ENOTDIR");
    const directory = temporaryDirectory();
    const spool = openSpool(directory, { log: silent }, LIMITS);
    expect(statSync(join(directory, "spool")).mode & 0o777).toBe(0o700);
    rmSync(join(directory, "spool"), { recursive: true });
    spool.append(1, body(1));
    expect(countWaiting(directory)).toBe(1);
    expect(countWaiting(join(directory, "nowhere"))).toBe(0);
  });

  test("resets a damaged counter to 0, and writes files that only the owner can read", () => {
    const directory = temporaryDirectory();
    writeFileSync(join(directory, "spool-counters.json"), "not json");
    const spool = openSpool(directory, { log: silent }, LIMITS);
    expect(spool.dropped()).toBe(0);
    spool.append(1, body(1));
    const path = join(directory, "spool", "0000000000000001.json");
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readFileSync(path, "utf8")).toBe(body(1));
  });
});
