import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { hoursBoundary, isWorkingTime } from "../../../shared/evaluate/hours.ts";
import { policy } from "../../../shared/table/items/policy.ts";

const MINUTE_MS = 60_000;

describe("working hours that end on the next day", () => {
  // The night from a Friday to a Saturday, an hour east of UTC.
  const night = { days: [5], from: "22:00", to: "06:00", utcOffsetMinutes: 60 };
  for (const [at, isWorking] of [
    ["2026-11-20T20:59:59.999Z", false],
    ["2026-11-20T21:00:00.000Z", true],
    ["2026-11-20T23:30:00.000Z", true],
    ["2026-11-21T04:59:59.999Z", true],
    ["2026-11-21T05:00:00.000Z", false],
    ["2026-11-20T04:00:00.000Z", false], // of the night before, which is a Thursday's
    ["2026-11-21T22:00:00.000Z", false],
  ] as const)
    test(`${at} is ${isWorking ? "within" : "outside of"} them`, () =>
      expect(isWorkingTime(at, night)).toBe(isWorking));

  test("a policy may have them, and none that begin as they end", () => {
    expect(policy.safeParse({ workingHours: night }).success).toBe(true);
    expect(policy.safeParse({ workingHours: { ...night, to: "22:00" } }).success).toBe(false);
  });
});

test("hoursBoundary() is not after the moment, and between the two nothing changes", () => {
  const clock = (minutes: number) =>
    `${String(Math.floor(minutes / 60)).padStart(2, "0")}:${String(minutes % 60).padStart(2, "0")}`;
  const start = Date.parse("2026-11-16T00:00:00.000Z");
  fc.assert(
    fc.property(
      fc.subarray([1, 2, 3, 4, 5, 6, 7], { minLength: 1 }),
      fc.integer({ min: 0, max: 1439 }),
      fc.integer({ min: 1, max: 1439 }),
      fc.constantFrom(-720, -210, 0, 60, 345, 840),
      fc.integer({ min: 0, max: 8 * 24 * 60 }),
      (days, begin, length, utcOffsetMinutes, minute) => {
        const to = clock((begin + length) % 1440);
        const hours = { days, from: clock(begin), to, utcOffsetMinutes };
        const atMs = start + minute * MINUTE_MS;
        const boundaryMs = Date.parse(hoursBoundary(new Date(atMs).toISOString(), hours));
        const isWorking = (ms: number) => isWorkingTime(new Date(ms).toISOString(), hours);
        expect(boundaryMs).toBeLessThanOrEqual(atMs);
        expect(atMs - boundaryMs).toBeLessThan(1440 * MINUTE_MS);
        for (let ms = boundaryMs; ms <= atMs; ms += 7 * MINUTE_MS)
          expect(isWorking(ms)).toBe(isWorking(atMs));
      },
    ),
    { numRuns: 300 },
  );
});
