import { expect, test } from "bun:test";
import { CONFLICT_ROUNDS_MAX, conflictPauseMs } from "../../../../edge/platform/conflict-retry.ts";

test("the first retries come soon, so that a busy writer does not win all of them", () => {
  const early = Array.from({ length: 12 }, (_, index) => conflictPauseMs(index + 1, 1));
  expect(Math.max(...early)).toBeLessThanOrEqual(60);
  expect(early).toEqual(early.toSorted((a, b) => a - b));
});

test("later retries are far apart, and all retries together take at least ten seconds on average", () => {
  const all = Array.from({ length: CONFLICT_ROUNDS_MAX - 1 }, (_, index) => conflictPauseMs(index + 1, 0.5));
  expect(all.at(-1)!).toBeGreaterThan(3 * all[0]!);
  expect(all.reduce((sum, ms) => sum + ms, 0)).toBeGreaterThan(10_000);
});

test("jitter spreads the retries of writes with the same conflict over nine tenths of the pause", () => {
  for (const round of [1, 12, 13, 63])
    expect(conflictPauseMs(round, 0) * 10).toBeCloseTo(conflictPauseMs(round, 1));
});
