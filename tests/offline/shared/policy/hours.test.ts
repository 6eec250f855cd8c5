import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { clockOf, hoursBoundary, isWorkingTime } from "../../../../shared/policy/hours.ts";
import { newPolicy, policy } from "../../../../shared/table/items/policy.ts";
import { MINUTE_MS } from "../../../../shared/time/durations.ts";

describe("working hours that end on the next day", () => {
  // Working hours in the night from Friday to Saturday, one hour east of UTC.
  const night = { days: [5], from: "22:00", to: "06:00", utcOffsetMinutes: 60 };
  for (const [at, isWorking] of [
    ["2026-11-20T20:59:59.999Z", false],
    ["2026-11-20T21:00:00.000Z", true],
    ["2026-11-20T23:30:00.000Z", true],
    ["2026-11-21T04:59:59.999Z", true],
    ["2026-11-21T05:00:00.000Z", false],
    ["2026-11-20T04:00:00.000Z", false], // belongs to the previous night, which starts on a Thursday
    ["2026-11-21T22:00:00.000Z", false],
  ] as const)
    test(`${at} is ${isWorking ? "within" : "outside of"} them`, () =>
      expect(isWorkingTime(at, night)).toBe(isWorking));

  test("are valid in a policy, unless begin and end are equal", () => {
    expect(policy.safeParse({ workingHours: night }).success).toBe(true);
    expect(policy.safeParse({ workingHours: { ...night, to: "22:00" } }).success).toBe(false);
  });
});

describe("working hours in a time zone", () => {
  const office = (timeZone: string, days = [1, 2, 3, 4, 5, 6, 7]) => ({
    ...{ days, from: "08:00", to: "18:00", utcOffsetMinutes: 0, timeZone },
  });
  test.each([
    ["Europe/Stockholm", "2026-01-14T06:59:59.999Z", false],
    ["Europe/Stockholm", "2026-01-14T07:00:00.000Z", true],
    ["Europe/Stockholm", "2026-07-15T05:59:59.999Z", false],
    ["Europe/Stockholm", "2026-07-15T06:00:00.000Z", true],
    ["Europe/Stockholm", "2026-07-15T16:00:00.000Z", false],
    // Clocks go forward at 01:00 UTC on 29 March, and back at 01:00 UTC on 25 October.
    ["Europe/Stockholm", "2026-03-28T07:00:00.000Z", true],
    ["Europe/Stockholm", "2026-03-29T06:00:00.000Z", true],
    ["Europe/Stockholm", "2026-10-25T06:59:59.999Z", false],
    ["America/St_Johns", "2026-07-15T10:30:00.000Z", true],
    ["America/St_Johns", "2026-07-15T10:29:59.999Z", false],
    ["Asia/Kathmandu", "2026-07-15T02:15:00.000Z", true],
    ["Asia/Kathmandu", "2026-07-15T02:14:59.999Z", false],
  ])("of %s: %s, %s", (timeZone, at, isWorking) => {
    expect(isWorkingTime(at, office(timeZone))).toBe(isWorking);
  });

  test("use the weekdays of that zone", () => {
    // Auckland is 13 hours ahead of UTC. The first time is Monday there and still Sunday in UTC.
    const monday = office("Pacific/Auckland", [1]);
    expect(isWorkingTime("2026-11-22T20:00:00.000Z", monday)).toBe(true);
    expect(isWorkingTime("2026-11-23T20:00:00.000Z", monday)).toBe(false);
  });

  test("are read as UTC by a runtime that does not know the zone", () => {
    const hours = office("Mars/Olympus_Mons");
    expect(isWorkingTime("2026-07-15T08:00:00.000Z", hours)).toBe(true);
    expect(isWorkingTime("2026-07-15T07:59:59.999Z", hours)).toBe(false);
  });

  test.each([
    [{ timeZone: "Europe/Stockholm" }, undefined],
    [{ timeZone: "UTC" }, undefined],
    [{ timeZone: "Europe/Stokholm" }, "workingHours.timeZone"],
    [{ timeZone: "+01:00" }, "workingHours.timeZone"],
    [{ timeZone: "Europe/Stockholm", utcOffsetMinutes: 60 }, "workingHours.utcOffsetMinutes"],
  ])("a new policy with %j has an error at %p", (clock, where) => {
    const read = newPolicy.safeParse({ workingHours: { days: [1], from: "08:00", to: "18:00", ...clock } });
    expect(read.error?.issues.map(({ path }) => path.join("."))).toEqual(
      where === undefined ? undefined : [where],
    );
  });

  test("with an unknown zone can still be read from the table", () => {
    const { timeZone, ...rest } = office("Mars/Olympus_Mons");
    expect(policy.safeParse({ workingHours: { ...rest, timeZone } }).success).toBe(true);
    expect(policy.safeParse({ workingHours: { ...rest, timeZone: "no zone" } }).success).toBe(false);
  });

  test.each([
    [{ timeZone: "Europe/Stockholm" }, "Europe/Stockholm"],
    [{}, "UTC"],
    [{ utcOffsetMinutes: 60 }, "UTC+01:00"],
    [{ utcOffsetMinutes: -210 }, "UTC-03:30"],
  ])("%j is displayed as %s", (clock, name) => {
    expect(clockOf({ days: [1], from: "08:00", to: "18:00", utcOffsetMinutes: 0, ...clock })).toBe(name);
  });
});

test("hoursBoundary() is not after the given time, and working hours do not change in between", () => {
  const clock = (minutes: number) =>
    `${String(Math.floor(minutes / 60)).padStart(2, "0")}:${String(minutes % 60).padStart(2, "0")}`;
  // First days of weeks with a clock change in one of the zones, and of one week without.
  const starts = ["2026-11-16", "2026-03-26", "2026-10-22", "2026-04-02"].map((day) =>
    Date.parse(`${day}T00:00:00.000Z`),
  );
  fc.assert(
    fc.property(
      fc.subarray([1, 2, 3, 4, 5, 6, 7], { minLength: 1 }),
      fc.integer({ min: 0, max: 1439 }),
      fc.integer({ min: 1, max: 1439 }),
      fc.constantFrom<{ utcOffsetMinutes: number; timeZone?: string }>(
        ...[-720, -210, 0, 60, 345, 840].map((utcOffsetMinutes) => ({ utcOffsetMinutes })),
        ...["Europe/Stockholm", "America/St_Johns", "Australia/Lord_Howe", "Asia/Kathmandu"].map(
          (timeZone) => ({
            ...{ utcOffsetMinutes: 0, timeZone },
          }),
        ),
      ),
      fc.constantFrom(...starts),
      fc.integer({ min: 0, max: 8 * 24 * 60 }),
      (days, begin, length, zone, start, minute) => {
        const to = clock((begin + length) % 1440);
        const hours = { days, from: clock(begin), to, ...zone };
        const atMs = start + minute * MINUTE_MS;
        const boundaryMs = Date.parse(hoursBoundary(new Date(atMs).toISOString(), hours));
        const isWorking = (ms: number) => isWorkingTime(new Date(ms).toISOString(), hours);
        expect(boundaryMs).toBeLessThanOrEqual(atMs);
        // A day has at most 25 hours.
        expect(atMs - boundaryMs).toBeLessThan((zone.timeZone ? 1500 : 1440) * MINUTE_MS);
        for (let ms = boundaryMs; ms <= atMs; ms += 7 * MINUTE_MS)
          expect(isWorking(ms)).toBe(isWorking(atMs));
      },
    ),
    { numRuns: 1000 },
  );
});
