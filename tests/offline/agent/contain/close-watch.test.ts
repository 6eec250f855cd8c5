import { describe, expect, test } from "bun:test";
import { createCloseWatch } from "../../../../agent/contain/state/close-watch.ts";

describe("createCloseWatch()", () => {
  /** A host with a fake clock. Time advances only during pauses and checks. */
  function host(lookMs: number) {
    const stop = new AbortController();
    let nowMs = 0;
    const looks: number[] = [];
    let onLook = (): void => {};
    const watch = createCloseWatch({
      check: async () => {
        looks.push(nowMs);
        nowMs += lookMs;
        onLook();
      },
      elapsed: () => nowMs,
      sleep: async (ms) => {
        nowMs += ms;
      },
      signal: stop.signal,
    });
    const done = () => Bun.sleep(20); // The watch runs in microtasks only, so one timer waits for its end. A watch that never ends fails at the timeout of the test.
    return {
      watch,
      looks,
      stop: () => stop.abort(),
      done,
      atLook: (act: () => void) => {
        onLook = act;
      },
    };
  }

  test("checks every 250 ms for 30 s after a repair, then stops until the next repair", async () => {
    const it = host(0);
    it.watch.begin();
    await it.done();
    expect(it.looks).toEqual(Array.from({ length: 120 }, (_, at) => 250 * (at + 1)));
    it.watch.begin();
    await it.done();
    expect(it.looks).toHaveLength(240);
  });

  test("continues for longer after another repair, without a second series of checks", async () => {
    const it = host(0);
    it.atLook(() => {
      if (it.looks.length === 40) it.watch.begin(); // The watch begins again after 40 checks, at 10 s.
    });
    it.watch.begin();
    await it.done();
    expect(it.looks).toEqual(Array.from({ length: 160 }, (_, at) => 250 * (at + 1)));
  });

  test("spends at most a fifth of the time on checks, even if checks are slow", async () => {
    const it = host(1000);
    it.watch.begin();
    await it.done();
    expect(it.looks).toEqual([250, 5250, 10_250, 15_250, 20_250, 25_250, 30_250]);
  });

  test("stops when the agent stops", async () => {
    const it = host(0);
    it.atLook(() => {
      if (it.looks.length === 3) it.stop();
    });
    it.watch.begin();
    await it.done();
    expect(it.looks).toHaveLength(3);
  });
});
