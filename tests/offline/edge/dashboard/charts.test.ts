import { describe, expect, test } from "bun:test";
import { AgeTable, BarTable, PartsBar } from "../../../../edge/dashboard/charts/bar-charts.tsx";
import { pathOf } from "../../../../edge/dashboard/charts/fleet-trend.tsx";
import { levelMarks, momentMarks, PLOT_WIDTH, plotScales } from "../../../../edge/dashboard/charts/plot.tsx";
import { RiskTrend } from "../../../../edge/dashboard/charts/risk-trend.tsx";
import { differenceWords, eventsWords } from "../../../../edge/dashboard/custody/field-diff.ts";
import type { TelemetryChange } from "../../../../shared/table/items/asset/telemetry.ts";
import { timestamp } from "../../../../shared/time/clock.ts";

const START_MS = Date.parse("2026-10-28T00:00:00.000Z");
const [HOUR_MS, DAY_MS] = [3_600_000, 86_400_000];

describe("the axes of a plot", () => {
  test("momentMarks() leaves room for every label, for all periods and at the end of a month", () => {
    for (const lengthMs of [
      1,
      1000,
      59_000,
      HOUR_MS,
      5 * HOUR_MS,
      DAY_MS,
      3 * DAY_MS,
      7 * DAY_MS,
      180 * DAY_MS,
    ]) {
      const marks = momentMarks(plotScales(START_MS, START_MS + lengthMs, 1, 100).time);
      for (const [index, { label, share }] of marks.entries()) {
        expect(label).toMatch(/^(\d{1,2} [A-Z][a-z]{2,3}|\d\d:\d\d)$/);
        expect(share).toBeWithin(0.07, 0.931);
        expect(label).not.toBe(marks[index - 1]?.label ?? "");
        if (index > 0) expect(share - marks[index - 1]!.share).toBeGreaterThanOrEqual(0.16);
      }
    }
  });

  test("momentMarks() labels midnight with its day and other hours with their time", () => {
    const week = momentMarks(plotScales(START_MS, START_MS + 7 * DAY_MS, 1, 100).time);
    expect(week.length).toBeGreaterThanOrEqual(3);
    for (const { label, share } of week)
      expect(Date.parse(`${label} 2026 UTC`)).toBe(START_MS + Math.round(share * 7) * DAY_MS);
    const hours = momentMarks(plotScales(START_MS + HOUR_MS, START_MS + 7 * HOUR_MS, 1, 100).time);
    expect(hours.map(({ label }) => label)).toContain("04:00");
  });

  test("levelMarks() are whole numbers up to the maximum, and an empty plot still has an axis", () => {
    for (const most of [0, 1, 2, 3, 7, 64, 9_993, 100_000]) {
      const { level } = plotScales(START_MS, START_MS + 1, most, 100);
      const marks = levelMarks(level);
      expect(marks.every(Number.isInteger)).toBe(true);
      expect(marks[0]).toBe(0);
      expect(marks.at(-1)).toBeGreaterThanOrEqual(Math.max(1, most));
    }
  });
});

describe("lines", () => {
  const pointAt = (hour: number, hosts: number) => ({
    ...{ at: timestamp(START_MS + hour * HOUR_MS), hosts, reporting: 0, withAi: 0, critical: 0, warning: 0 },
  });
  const path = (...points: ReturnType<typeof pointAt>[]) =>
    pathOf(points, ({ hosts }) => hosts, plotScales(START_MS, START_MS + 10 * HOUR_MS, 4, 100));

  test("pathOf() has a gap after more than three hours without a count, and none after three", () => {
    expect(path(pointAt(0, 1), pointAt(3, 2)).match(/M/g)).toHaveLength(1);
    expect(path(pointAt(0, 1), pointAt(3.001, 2)).match(/M/g)).toHaveLength(2);
  });

  test("pathOf() draws steps: a count lasts until the next one", () => {
    expect(path(pointAt(0, 0), pointAt(2, 4), pointAt(5, 4)).replaceAll(" ", "")).toStartWith(
      "M0,98L120,98L120,8",
    );
  });

  test("RiskTrend() ends at the last heartbeat, with the newest score", () => {
    const state = (hour: number, score: number) => ({ at: timestamp(START_MS + hour * HOUR_MS), score });
    const changes = [state(6, 80), state(2, 40), state(0, 0)] as TelemetryChange[];
    const until = timestamp(START_MS + 10 * HOUR_MS);
    const markup = String(RiskTrend({ changes, until }));
    expect(markup).toMatch(new RegExp(`class="line" d="M0,86[^"]+L360,23.6[^"]*L${PLOT_WIDTH},23.6"`));
    expect(markup).toContain("Risk score over 3 states: now 80, highest 80");
    expect(RiskTrend({ changes: changes.slice(0, 1), until })).toBeNull();
  });
});

describe("bars", () => {
  const widthsOf = (markup: string, look: string) =>
    [...markup.matchAll(new RegExp(`class="${look}"[^>]*? x="([^"]+)" width="([^"]+)"`, "g"))].map((found) =>
      found.slice(1),
    );

  test("AgeTable() draws both risks side by side, relative to the largest row", () => {
    const buckets = [
      { name: "Last hour", critical: 1, warning: 3 },
      { name: "Older", critical: 0, warning: 1 },
    ];
    const markup = String(AgeTable({ title: "Age", buckets }));
    expect(widthsOf(markup, "fill critical")).toEqual([
      ["0%", "25%"],
      ["0%", "0%"],
    ]);
    expect(widthsOf(markup, "fill warning")).toEqual([
      ["25%", "75%"],
      ["0%", "25%"],
    ]);
  });

  test("PartsBar() is full if there is any count, and empty otherwise", () => {
    const parts = (reporting: number, never: number) => [
      { name: "Reporting", count: reporting, look: "reporting" as const, href: "/a" },
      { name: "Never seen", count: never, look: "never" as const, href: "/b" },
    ];
    const drawn = (...counts: [number, number]) =>
      [
        ...String(PartsBar({ id: "p", parts: parts(...counts) })).matchAll(
          /<rect x="([^"]+)" width="([^"]+)"/g,
        ),
      ].map((found) => found.slice(1));
    expect(drawn(3, 1)).toEqual([
      ["0%", "75%"],
      ["75%", "25%"],
    ]);
    expect(drawn(0, 0)).toEqual([
      ["0%", "0%"],
      ["0%", "0%"],
    ]);
  });

  test("BarTable() never draws past its track", () => {
    const markup = String(BarTable({ title: ["Engines", "Hosts"], of: 2, bars: [{ name: "a", count: 5 }] }));
    expect(markup).toContain('class="fill" width="100%"');
  });
});

describe("differenceWords()", () => {
  test("describes a change member by member, and quotes texts that are not objects", () => {
    const cases: [string | undefined, string | undefined, string][] = [
      ['{"fourEyes":false}', '{"fourEyes":true}', "fourEyes false → true"],
      [
        undefined,
        '{"url":"https://a.example/","events":[]}',
        'url not set → "https://a.example/", events not set → []',
      ],
      ["open", "acknowledged", "open → acknowledged"],
      ['{"a":1}', "closed", '{"a":1} → closed'],
      ["[1]", undefined, "[1] → not set"],
      ["null", '{"__proto__":1}', 'null → {"__proto__":1}'],
    ];
    for (const [before, after, words] of cases) expect(differenceWords(before, after)).toBe(words);
  });
});

test("eventsWords() names up to three events, counts more, and is undefined without events", () => {
  const said = (...events: unknown[]) => eventsWords(JSON.stringify({ events }));
  expect(said("evt_1")).toBe("events evt_1");
  expect(said("evt_1", "evt_2", "evt_3")).toBe("events evt_1, evt_2, evt_3");
  expect(said("evt_1", "evt_2", "evt_3", "evt_4")).toBe("4 events, from evt_1 to evt_4");
  for (const none of [undefined, "", "{", "null", "[]", '{"events":[]}', '{"events":"evt_1"}'])
    expect(eventsWords(none)).toBeUndefined();
});
