import { expect, test } from "bun:test";
import { createControlClock } from "../../../../agent/network/control-clock.ts";

const at = (text: string): number => Date.parse(`${text}Z`);
const text = (ms: number): string => new Date(ms).toISOString().slice(0, 19);

/** A fake host. The test sets its wall clock and its monotonic clock. */
function host(start: string) {
  const state = { wallMs: at(start), elapsedMs: 1000, said: [] as unknown[] };
  const clock = createControlClock({
    clock: () => state.wallMs,
    elapsed: () => state.elapsedMs,
    log: (_level, _event, fields) => state.said.push(fields),
  });
  return {
    ...clock,
    said: state.said,
    now: () => text(clock.now()),
    learn: (control: string) => clock.learn(at(control), state.wallMs),
    pass: (ms: number) => {
      state.wallMs += ms;
      state.elapsedMs += ms;
    },
    set: (wall: string) => {
      state.wallMs = at(wall);
    },
    sleep: (ms: number) => {
      state.wallMs += ms;
    },
  };
}

test("uses the wall clock until the control plane sends a different time, and logs that once", () => {
  const { now, learn, pass, said } = host("2026-11-21T10:00:00");
  expect(now()).toBe("2026-11-21T10:00:00");
  expect(learn("2026-11-21T10:10:00")).toBe(true);
  expect(learn("2026-11-21T10:10:00.999")).toBe(false);
  expect(said).toEqual([{ skewSeconds: 600 }]);
  pass(5000);
  expect(now()).toBe("2026-11-21T10:10:05");
  // Differences below one second are ignored. A difference of one second is corrected.
  expect(learn("2026-11-21T10:10:04")).toBe(true);
  expect(now()).toBe("2026-11-21T10:10:04");
});

test("a marked moment is corrected if the clock is set back, or if the clock was before 2025", () => {
  for (const start of ["2026-11-21T10:00:00", "1970-01-01T00:00:10"]) {
    const { mark, pass, set } = host(start);
    const moment = mark();
    pass(60_000);
    expect(text(moment())).toBe(start);
    set("2026-11-20T08:00:00");
    expect(text(moment())).toBe("2026-11-20T07:59:00");
    const later = mark();
    expect([text(moment()), text(later())]).toEqual(["2026-11-20T07:59:00", "2026-11-20T08:00:00"]);
  }
});

test("a marked moment is unchanged if the machine slept or the clock was adjusted slightly", () => {
  const { mark, pass, sleep, set } = host("2026-11-21T10:00:00");
  const moment = mark();
  sleep(8 * 3600_000);
  expect(text(moment())).toBe("2026-11-21T10:00:00");
  pass(1000);
  set("2026-11-21T17:59:59"); // The wall clock is two seconds behind.
  expect(text(moment())).toBe("2026-11-21T10:00:00");
  set("2026-11-21T17:59:56.999");
  expect(text(moment())).toBe("2026-11-21T09:59:57");
});

test("a marked moment is corrected by the time of the control plane", () => {
  const { mark, pass, learn } = host("2026-01-01T00:00:00");
  const moment = mark();
  pass(5000);
  learn("2026-11-21T10:00:05");
  expect(text(moment())).toBe("2026-11-21T10:00:00");
});

test("a wall clock that NTP corrected is not corrected a second time", () => {
  const { now, mark, learn, set, sleep } = host("1970-01-01T00:01:00");
  learn("2026-11-21T10:00:00");
  const moment = mark();
  set("2026-11-21T10:00:20"); // NTP sets the wall clock, 20 seconds ahead of the edge's clock.
  expect(now()).toBe("2026-11-21T10:00:20");
  expect(text(moment())).toBe("2026-11-21T10:00:00");
  sleep(3600_000);
  expect(now()).toBe("2026-11-21T11:00:20");
});

test("a machine that sleeps with a wrong clock keeps its correction", () => {
  const { now, mark, learn, sleep } = host("2026-11-21T10:00:00");
  learn("2026-11-21T10:10:00");
  const moment = mark();
  sleep(3600_000);
  expect(now()).toBe("2026-11-21T11:10:00");
  expect(text(moment())).toBe("2026-11-21T10:10:00");
});
