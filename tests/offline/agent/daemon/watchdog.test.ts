import { describe, expect, test } from "bun:test";
import {
  CPU_SHARE_MAX,
  createWatchdog,
  LOAD_PER_CORE_MAX,
  SLOWED_MS_MAX,
} from "../../../../agent/daemon/load-governor.ts";
import { collector } from "../../../../shared/wire/heartbeat.ts";

const INTERVAL_MS = 5000;
const WELL = { share: 0.003, durationMs: 30, load: 0.5 };

function host(intervalMs = INTERVAL_MS) {
  const state = { cpuMs: 0, nowMs: 0, load: 0, intervalMs };
  const watchdog = createWatchdog({
    cpuMs: () => state.cpuMs,
    elapsed: () => state.nowMs,
    loadPerCore: () => state.load,
    intervalMs: () => state.intervalMs,
  });
  /** Simulates consecutive scans at the interval that the watchdog returns. */
  const scans = (count: number, how: Partial<typeof WELL> = {}) => {
    const { share, durationMs, load } = { ...WELL, ...how };
    for (let scan = 0; scan < count; scan += 1) {
      const pause = watchdog.intervalMs();
      state.nowMs += pause;
      state.cpuMs += pause * share;
      state.load = load;
      watchdog.note({ durationMs });
    }
    return watchdog.intervalMs();
  };
  return { watchdog, scans, state };
}

describe("createWatchdog()", () => {
  test("keeps the tenant's interval and reports nothing without pressure", () => {
    const { watchdog, scans } = host();
    expect(scans(100)).toBe(INTERVAL_MS);
    expect(watchdog.collector()).toBeUndefined();
  });

  test("ignores an expensive first scan and a single later spike", () => {
    const { scans } = host();
    expect(scans(1, { share: 0.9, durationMs: 4000 })).toBe(INTERVAL_MS);
    for (let turn = 0; turn < 5; turn += 1) {
      expect(scans(1, { share: 0.9 })).toBe(INTERVAL_MS);
      expect(scans(1)).toBe(INTERVAL_MS);
    }
  });

  test.each([
    ["its own share of a core", { share: CPU_SHARE_MAX * 1.01 }, /the agent used 5\.1 % of a CPU core/],
    ["the time a scan takes", { durationMs: 2501 }, /a scan took 2501 ms/],
    ["the host's load", { load: LOAD_PER_CORE_MAX + 0.1 }, /4\.1 processes per core/],
  ])("doubles the interval after two scans over %s, with a reason", (_, how, words) => {
    const { watchdog, scans } = host();
    scans(1);
    expect(scans(1, how)).toBe(INTERVAL_MS);
    expect(scans(1, how)).toBe(2 * INTERVAL_MS);
    const said = watchdog.collector()!;
    expect(said).toMatchObject({ name: "watchdog", status: "partial" });
    expect(said.detail).toMatch(/^one scan every 10 s instead of every 5 s: /);
    expect(said.detail).toMatch(words);
    expect(collector.parse(said)).toEqual(said);
  });

  test.each([
    ["its share", { share: CPU_SHARE_MAX * 0.99 }],
    ["the time a scan takes", { durationMs: 2500 }],
    ["the load", { load: LOAD_PER_CORE_MAX }],
  ])("keeps the interval at the limit of %s", (_, how) => {
    const { scans } = host();
    expect(scans(20, how)).toBe(INTERVAL_MS);
  });

  test("lengthens the interval to at most a minute, and never shortens it below the tenant's interval", () => {
    const { scans } = host();
    expect(scans(100, { share: 0.5 })).toBe(SLOWED_MS_MAX);
    const patient = host(600_000);
    expect(patient.scans(100, { share: 0.5 })).toBe(600_000);
    expect(patient.watchdog.collector()).toBeUndefined();
  });

  test("no more than doubles the interval for load by other programs, so that load cannot blind the agent", () => {
    const { scans } = host();
    expect(scans(100, { load: 50 })).toBe(2 * INTERVAL_MS);
  });

  test("accepts a scan of up to a second at any interval", () => {
    const { scans } = host(1000);
    expect(scans(10, { durationMs: 1000 })).toBe(1000);
    expect(scans(10, { durationMs: 1001 })).toBeGreaterThan(1000);
  });

  test("shortens the interval step by step after the pressure ends, and drops the reason", () => {
    const { watchdog, scans } = host();
    scans(100, { share: 0.5 });
    const steps = new Set<number>();
    for (let scan = 0; scan < 40; scan += 1) steps.add(scans(1));
    expect([...steps]).toEqual([60_000, 40_000, 20_000, 10_000, 5000]);
    expect(watchdog.collector()).toBeUndefined();
  });

  test("keeps the longer interval while half of it would cause pressure again", () => {
    const { scans, state, watchdog } = host();
    /** Each scan takes 400 ms of processor time. That is 8 % of a core at an interval of 5 s, and 4 % at 10 s. */
    const seen: number[] = [];
    for (let scan = 0; scan < 60; scan += 1) {
      state.nowMs += watchdog.intervalMs();
      state.cpuMs += 400;
      watchdog.note({ durationMs: 30 });
      seen.push(watchdog.intervalMs());
    }
    expect(new Set(seen.slice(5))).toEqual(new Set([10_000]));
    expect(scans(20)).toBe(INTERVAL_MS);
  });
});
