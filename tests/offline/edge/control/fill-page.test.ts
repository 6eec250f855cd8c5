import { describe, expect, test } from "bun:test";
import { fillPage, type Part, READS_MAX } from "../../../../edge/control/fill-page.ts";

/** A fake list whose cursor is the index of the next item. `parts` records the reads of the list. */
function listOf(length: number) {
  const parts: Part[] = [];
  const read = async (part: Part) => {
    parts.push(part);
    const start = Number(part.from ?? 0);
    const end = Math.min(start + part.limit, length);
    const items = Array.from({ length: end - start }, (_, index) => start + index);
    return { items, ...(end < length && { cursor: String(end) }) };
  };
  return { parts, read };
}
const isEven = (found: number[]) => found.filter((each) => each % 2 === 0);
const all = (found: number[]) => found;

describe("fillPage()", () => {
  test("reads once if every item is kept", async () => {
    const { parts, read } = listOf(10);
    expect(await fillPage({ limit: 4 }, read, all)).toEqual({ items: [0, 1, 2, 3], leftOut: 0, cursor: "4" });
    expect(parts).toEqual([{ limit: 4 }]);
  });

  test("reads on until the page is full, and each time only as many items as still fit", async () => {
    const { parts, read } = listOf(100);
    expect(await fillPage({ limit: 4, from: "10" }, read, isEven)).toEqual({
      items: [10, 12, 14, 16],
      leftOut: 3,
      cursor: "17",
    });
    expect(parts).toEqual([
      { limit: 4, from: "10" },
      { limit: 2, from: "14" },
      { limit: 1, from: "16" },
    ]);
  });

  test("has no cursor at the end of the list", async () => {
    const { read } = listOf(5);
    expect(await fillPage({ limit: 4 }, read, isEven)).toEqual({ items: [0, 2, 4], leftOut: 2 });
    expect(await fillPage({ limit: 4 }, listOf(0).read, all)).toEqual({ items: [], leftOut: 0 });
  });

  test("stops after a maximum number of reads, and returns what it has with a cursor", async () => {
    const { parts, read } = listOf(1000);
    expect(await fillPage({ limit: 10 }, read, () => [])).toEqual({
      items: [],
      leftOut: 10 * READS_MAX,
      cursor: String(10 * READS_MAX),
    });
    expect(parts).toHaveLength(READS_MAX);
  });

  test("skips nothing and shows nothing twice if its cursors are followed", async () => {
    const { read } = listOf(257);
    const seen: number[] = [];
    let leftOut = 0;
    let from: string | undefined;
    do {
      const page = await fillPage({ limit: 7, ...(from !== undefined && { from }) }, read, (found) =>
        found.filter((each) => each % 13 === 0),
      );
      expect(page.items.length).toBeLessThanOrEqual(7);
      seen.push(...page.items);
      leftOut += page.leftOut;
      from = page.cursor;
    } while (from !== undefined);
    expect(seen).toEqual(Array.from({ length: 20 }, (_, index) => 13 * index));
    expect(leftOut).toBe(257 - 20);
  });

  test("keeps the result of an asynchronous mapping of each item", async () => {
    const { read } = listOf(3);
    const keep = async (found: number[]) => found.map((each) => `item ${each}`);
    expect((await fillPage({ limit: 3 }, read, keep)).items).toEqual(["item 0", "item 1", "item 2"]);
  });

  test("fails if a read fails", async () => {
    const failing = () => Promise.reject(new Error("the table is away"));
    await expect(fillPage({ limit: 3 }, failing, all)).rejects.toThrow("the table is away");
  });
});
