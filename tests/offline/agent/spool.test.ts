import { afterEach, describe, expect, test } from "bun:test";
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { silent } from "../../../agent/log.ts";
import { countWaiting, openSpool, type SpoolLimits } from "../../../agent/spool.ts";
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
  test("hands out what another process appended, oldest first, and nothing after remove()", () => {
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

  test("keeps a heartbeat that was looked at but not removed", () => {
    const directory = temporaryDirectory();
    const spool = openSpool(directory, { log: silent }, LIMITS);
    spool.append(1, body(1));
    expect(spool.oldest()?.body).toBe(body(1));
    expect(openSpool(directory, { log: silent }, LIMITS).oldest()?.sequence).toBe(1);
  });

  test("drops the oldest at the count limit, counts it, and the count survives", () => {
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

  test("drops the oldest at the byte limit, one byte below it nothing", () => {
    const size = body(1, 100).length;
    const exact = openSpool(temporaryDirectory(), { log: silent }, { ...LIMITS, bytesMax: size * 2 });
    for (const sequence of [1, 2]) exact.append(sequence, body(sequence, 100));
    expect(exact.dropped()).toBe(0);
    const short = openSpool(temporaryDirectory(), { log: silent }, { ...LIMITS, bytesMax: size * 2 - 1 });
    for (const sequence of [1, 2]) short.append(sequence, body(sequence, 100));
    expect(short.dropped()).toBe(1);
    expect(drain(short)).toEqual([2]);
  });

  test("skips a damaged file, a file under another number and half a file, and counts them as dropped", () => {
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

  test("removes what a crash left of a write, without counting it", () => {
    const directory = temporaryDirectory();
    openSpool(directory, { log: silent }, LIMITS);
    writeFileSync(join(directory, "spool", "0000000000000001.json.tmp"), "{");
    const spool = openSpool(directory, { log: silent }, LIMITS);
    expect([spool.waiting(), spool.dropped()]).toEqual([0, 0]);
    expect(readdirSync(join(directory, "spool"))).toEqual([]);
  });

  test("waits in memory while the disk is full, in order, and moves to disk afterwards", () => {
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
    expect(said).toEqual(["the spool cannot write to its disk; heartbeats wait in memory"]);
    isFull = false;
    spool.append(4, body(4));
    expect(countWaiting(directory)).toBe(4);
    expect(drain(spool)).toEqual([1, 2, 3, 4]);
  });

  test("bounds its memory while the disk is full: the oldest in memory goes, and is counted", () => {
    const spool = openSpool(
      temporaryDirectory(),
      { log: silent, write: full },
      { ...LIMITS, memoryBytesMax: 2500 },
    );
    for (const sequence of [1, 2, 3, 4]) spool.append(sequence, body(sequence, 1000));
    expect(spool.dropped()).toBe(2);
    expect(drain(spool)).toEqual([3, 4]);
  });

  test("drop() counts, remove() does not, and neither minds an unknown number", () => {
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

  test("starts again at 0 dropped when the counter is damaged, and writes files only the owner can read", () => {
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
