import { describe, expect, test } from "bun:test";
import { type PresenceItem, presenceItem } from "../../../../shared/table/items/asset/presence.ts";
import { policy } from "../../../../shared/table/items/policy.ts";
import {
  additions,
  intervalStart,
  isNewerThan,
  later,
  type Moment,
  repeats,
  sampleAt,
  seenThrough,
  stateAt,
  timelinePositionOf,
} from "../../../../worker/heartbeat/timeline-position.ts";
import { ASSET, makeTenant, TENANT } from "../../../support/dynamo/worker-table.ts";

/** A time on one day, to the second: `clock("09:00:00")`. */
const clock = (time: string, day = "2026-11-20"): string => `${day}T${time}.000Z`;
const NINE = clock("09:00:00");

const momentAt = (at: string, more: Partial<Moment> = {}): Moment => ({
  at,
  receivedAt: at,
  stateSince: NINE,
  sequence: 10,
  assetId: ASSET,
  ...more,
});

const tenantOf = (telemetryResolutionSeconds = 60, workingHours?: object) =>
  makeTenant({ telemetryResolutionSeconds, policy: policy.parse({ ...(workingHours && { workingHours }) }) });

const presenceAt = (more: Partial<PresenceItem> = {}): PresenceItem =>
  presenceItem.parse({
    type: "Presence",
    tenantId: TENANT,
    assetId: ASSET,
    lastSeenAt: NINE,
    sequence: 10,
    revision: 1,
    stateAt: NINE,
    stateSince: NINE,
    stateHash: "state.policy",
    stateSequence: 10,
    sampledAt: NINE,
    intervalMs: 5000,
    agentVersion: "1",
    catalogue: "1",
    hostname: "host-1",
    risk: "INFO",
    score: 0,
    engines: [],
    models: [],
    failedCollectors: [],
    spoolDropped: 0,
    openIncidents: [],
    ...more,
  });

test("later() returns the later of two timestamps, in any order", () => {
  expect(later(NINE, clock("10:00:00"))).toBe(clock("10:00:00"));
  expect(later(clock("10:00:00"), NINE)).toBe(clock("10:00:00"));
  expect(later(NINE, NINE)).toBe(NINE);
});

describe("stateAt()", () => {
  const HOURS = { from: "08:00", to: "18:00", days: [1, 2, 3, 4, 5], utcOffsetMinutes: 0 };
  const NIGHT = "2026-11-19";
  test.each([
    ["the start of the state, on the day it began", clock("12:00:00"), NINE, undefined, NINE],
    ["the time itself when the state begins with it", NINE, NINE, undefined, NINE],
    ["the time itself when the state begins later", NINE, clock("10:00:00"), undefined, NINE],
    [
      "the start of the day for a state of the day before",
      NINE,
      clock("23:59:59", NIGHT),
      undefined,
      clock("00:00:00"),
    ],
    [
      "the start of the day at the start of the day",
      clock("00:00:00"),
      clock("23:59:59", NIGHT),
      undefined,
      clock("00:00:00"),
    ],
    [
      "the start of the state a second into the day",
      clock("12:00:00"),
      clock("00:00:01"),
      undefined,
      clock("00:00:01"),
    ],
    [
      "the start of working hours when the state began before them",
      NINE,
      clock("07:59:59"),
      HOURS,
      clock("08:00:00"),
    ],
    [
      "the start of working hours at their start",
      clock("08:00:00"),
      clock("07:00:00"),
      HOURS,
      clock("08:00:00"),
    ],
    [
      "the start of the state before working hours begin",
      clock("07:59:59"),
      clock("07:00:00"),
      HOURS,
      clock("07:00:00"),
    ],
    ["the end of working hours after them", clock("18:00:01"), NINE, HOURS, clock("18:00:00")],
    ["the start of a state within working hours", clock("12:00:00"), NINE, HOURS, NINE],
    [
      "the start of the day rather than hours that ended on the day before",
      clock("01:00:00"),
      clock("12:00:00", NIGHT),
      HOURS,
      clock("00:00:00"),
    ],
  ] as const)("is %s", (_, at, stateSince, hours, right) => {
    expect(stateAt(momentAt(at, { stateSince }), tenantOf(60, hours))).toBe(right);
  });
});

describe("intervalStart()", () => {
  test.each([
    ["a whole interval from its first millisecond", NINE, 0, 60, NINE],
    ["to its last", "2026-11-20T09:00:59.999Z", 0, 60, NINE],
    ["and the next one after it", clock("09:01:00"), 0, 60, clock("09:01:00")],
    ["shifted by the phase", clock("09:00:29"), 0.5, 60, clock("08:59:30")],
    [
      "later than whole multiples by a quarter, for a phase of a quarter",
      clock("09:00:20"),
      0.25,
      60,
      clock("09:00:15"),
    ],
    ["from the phase on", clock("09:00:30"), 0.5, 60, clock("09:00:30")],
    ["of whole milliseconds of phase", clock("09:00:10"), 0.00001, 60, NINE],
    ["the time itself with resolution 0", "2026-11-20T09:00:59.999Z", 0.5, 0, "2026-11-20T09:00:59.999Z"],
  ] as const)("returns %s", (_, at, phase, resolution, right) => {
    expect(intervalStart(at, phase, resolution)).toBe(right);
  });
});

/** Start of the asset's 60 s interval that contains `at`. */
const startOf = (at: string) =>
  seenThrough(momentAt(at, { stateSince: "2026-11-20T00:00:00.000Z" }), tenantOf());
const FIRST = startOf(clock("09:05:00"));
const after = (ms: number): string => new Date(Date.parse(FIRST) + ms).toISOString();

describe("seenThrough() and sampleAt()", () => {
  test("resolution intervals of the asset start one minute apart", () => {
    expect([startOf(after(0)), startOf(after(59_999)), startOf(after(60_000))]).toEqual([
      FIRST,
      FIRST,
      after(60_000),
    ]);
  });
  test.each([
    ["the start of its interval, which is a sample", after(1000), NINE, FIRST, FIRST],
    [
      "the start of the state in the interval the state began in, with no sample",
      after(5000),
      after(2000),
      after(2000),
      undefined,
    ],
    [
      "the start of the state at the start of an interval, with no sample",
      after(5000),
      FIRST,
      FIRST,
      undefined,
    ],
    [
      "the next interval, with a sample, once that has begun",
      after(60_000),
      after(2000),
      after(60_000),
      after(60_000),
    ],
  ] as const)("%s", (_, at, stateSince, seen, sample) => {
    expect(seenThrough(momentAt(at, { stateSince }), tenantOf())).toBe(seen);
    expect(sampleAt(momentAt(at, { stateSince }), tenantOf())).toBe(sample);
  });
  test("with resolution 0 each heartbeat has its own sample; the item of a state is the sample of its first heartbeat", () => {
    expect(seenThrough(momentAt(after(1)), tenantOf(0))).toBe(after(1));
    expect(sampleAt(momentAt(after(1)), tenantOf(0))).toBe(after(1));
    expect(sampleAt(momentAt(NINE), tenantOf(0))).toBeUndefined();
  });
});

describe("timelinePositionOf()", () => {
  const SAME = { kind: "same" };
  const seenOnce = presenceAt({ stateAt: after(2000), lastSeenAt: after(2000) });
  const seenAgain = presenceAt({ stateAt: NINE, lastSeenAt: after(60_000) });
  test.each([
    [
      "an asset that is not known has a change",
      momentAt(NINE),
      "x.p",
      undefined,
      { kind: "change", key: NINE },
    ],
    [
      "a state that began later is a change, also with the same hash",
      momentAt(after(5000), { stateSince: after(3000) }),
      "state.policy",
      seenOnce,
      { kind: "change", key: after(3000) },
    ],
    [
      "a state that began when the known one did is the same",
      momentAt(after(5000), { stateSince: after(2000) }),
      "state.policy",
      seenOnce,
      SAME,
    ],
    [
      "a time before the known state is late, at the start of its own state",
      momentAt(after(1999)),
      "x.p",
      seenOnce,
      { kind: "late", key: NINE },
    ],
    [
      "and late also with the same hash",
      momentAt(after(1999)),
      "state.policy",
      seenOnce,
      { kind: "late", key: NINE },
    ],
    [
      "the very time of the known state is the same, whatever it shows",
      momentAt(after(2000)),
      "x.p",
      seenOnce,
      SAME,
    ],
    ["the same hash is the same", momentAt(after(9000)), "state.policy", seenOnce, SAME],
    [
      "another state after the asset was last seen is a change at its time",
      momentAt(after(2001)),
      "x.policy",
      seenOnce,
      { kind: "change", key: after(2001) },
    ],
    [
      "another policy after the asset was last seen is a change at its time",
      momentAt(after(2001)),
      "state.x",
      seenOnce,
      { kind: "change", key: after(2001) },
    ],
    [
      "another state at the time the asset was last seen is a change",
      momentAt(after(60_000)),
      "x.policy",
      seenAgain,
      { kind: "change", key: after(60_000) },
    ],
    [
      "another state before the asset was last seen is late, and the known one is resumed",
      momentAt(after(59_999)),
      "x.policy",
      seenAgain,
      { kind: "late", key: after(59_999), resumedAt: after(60_000) },
    ],
    [
      "another policy before the asset was last seen is the same",
      momentAt(after(59_999)),
      "state.x",
      seenAgain,
      SAME,
    ],
    [
      "a spool beyond its bound in a later interval is a change at its time",
      momentAt(after(61_000)),
      "state.policy+late",
      seenAgain,
      { kind: "change", key: after(61_000) },
    ],
    [
      "a spool beyond its bound before the asset was last seen is the same",
      momentAt(after(59_999)),
      "state.policy+late",
      seenAgain,
      SAME,
    ],
    [
      "a spool that moves again in the interval of a change is the same",
      momentAt(after(3000)),
      "state.policy+late",
      seenOnce,
      SAME,
    ],
    [
      "a spool that is within its bound again in the next interval is a change",
      momentAt(after(60_000)),
      "state.policy",
      presenceAt({ stateAt: after(2000), lastSeenAt: after(2000), stateHash: "state.policy+late" }),
      { kind: "change", key: after(60_000) },
    ],
  ] as const)("%s", (_, moment, hash, presence, right) => {
    expect<unknown>(timelinePositionOf(moment, hash, presence, tenantOf())).toEqual(right);
  });
});

describe("isNewerThan()", () => {
  test.each([
    ["at the time the asset was last seen", after(0), after(0), false],
    ["a millisecond after an interval began", after(1), after(0), true],
    ["before the asset was last seen", after(0), after(60_000), false],
    ["after a change, in its interval", after(3000), after(2000), false],
    ["after a change, in the next interval", after(60_000), after(2000), true],
  ] as const)("%s", (_, at, lastSeenAt, right) => {
    expect(isNewerThan(presenceAt({ lastSeenAt }), momentAt(at), tenantOf())).toBe(right);
  });
});

describe("additions() and repeats()", () => {
  const known = presenceAt({ lastSeenAt: after(0), stateAt: NINE });
  const unknownFirst = { ...known, stateSequence: undefined };
  const NONE = { head: undefined, sample: undefined, isFirstOfState: false };
  const NEXT = { head: after(60_000), sample: after(60_000) };
  test.each([
    ["a later one of the interval adds nothing", momentAt(after(5), { sequence: 11 }), known, NONE, true],
    ["the same one again adds nothing", momentAt(after(5)), known, NONE, true],
    [
      "the last millisecond of the interval adds nothing",
      momentAt(after(59_999), { sequence: 11 }),
      known,
      NONE,
      true,
    ],
    [
      "the first of the next interval is its head and its sample",
      momentAt(after(60_000), { sequence: 11 }),
      known,
      { ...NONE, ...NEXT },
      false,
    ],
    [
      "one of an interval before is a sample, no head",
      momentAt(after(-1), { sequence: 11 }),
      known,
      { ...NONE, sample: after(-60_000) },
      false,
    ],
    [
      "an earlier one of the interval is its head, and of its state",
      momentAt(after(5), { sequence: 9 }),
      known,
      { ...NONE, head: after(0), isFirstOfState: true },
      false,
    ],
    [
      "an earlier one of the interval only is its head",
      momentAt(after(5), { sequence: 9 }),
      { ...known, stateSequence: 3 },
      { ...NONE, head: after(0) },
      false,
    ],
    [
      "an earlier one of the state only is no head",
      momentAt(after(5), { sequence: 9 }),
      { ...known, sequence: 9 },
      { ...NONE, isFirstOfState: true },
      false,
    ],
    [
      "one of a state whose first is not known is not told apart",
      momentAt(after(5), { sequence: 10 }),
      unknownFirst,
      NONE,
      true,
    ],
    [
      "one whose state begins at another time repeats nothing, though its numbers are no lower",
      momentAt(after(5), { stateSince: clock("08:00:00") }),
      known,
      NONE,
      false,
    ],
    [
      "one whose state begins at another time repeats nothing, and is not its first",
      momentAt(after(5), { sequence: 9, stateSince: clock("08:00:00") }),
      { ...known, sequence: 9 },
      NONE,
      false,
    ],
  ] as const)("%s", (_, moment, presence, right, isRepeated) => {
    expect(additions(moment, presence as PresenceItem, tenantOf())).toEqual(right);
    expect(repeats(moment, presence as PresenceItem, tenantOf())).toBe(isRepeated);
  });
  test("with resolution 0 every heartbeat except a duplicate of the newest adds something", () => {
    const last = presenceAt({ lastSeenAt: after(5) });
    expect(repeats(momentAt(after(5)), last, tenantOf(0))).toBe(true);
    expect(repeats(momentAt(after(6)), last, tenantOf(0))).toBe(false);
    expect(additions(momentAt(after(6)), last, tenantOf(0))).toMatchObject({
      head: after(6),
      sample: after(6),
    });
  });
  test("a changed resolution applies immediately", () => {
    const presence = presenceAt({ lastSeenAt: after(0) });
    expect(repeats(momentAt(after(30_000)), presence, tenantOf(60))).toBe(true);
    expect(repeats(momentAt(after(30_000)), presence, tenantOf(1))).toBe(false);
    expect(repeats(momentAt(after(30_000)), presence, tenantOf(60))).toBe(true);
  });
});
