import { expect, test } from "bun:test";
import { sleep } from "../../../../shared/time/sleep.ts";
import { createInFlightLimit } from "../../../../worker/receive/in-flight-limit.ts";

/**
 * A signal that counts its listeners. A worker runs for months and sleeps several times a second, so
 * listeners must not accumulate.
 */
function createSignal() {
  const stop = new AbortController();
  const { signal } = stop;
  let listeners = 0;
  const [add, remove] = [signal.addEventListener.bind(signal), signal.removeEventListener.bind(signal)];
  signal.addEventListener = (...given: Parameters<typeof add>) => {
    listeners++;
    add(...given);
  };
  signal.removeEventListener = (...given: Parameters<typeof remove>) => {
    listeners--;
    remove(...given);
  };
  return { stop, signal, listeners: () => listeners };
}

test("sleep() ends after its time, when the signal aborts, and immediately if it has aborted before", async () => {
  const { stop, signal } = createSignal();
  const startMs = performance.now();
  await sleep(30, signal); // the time of this sleep is under test
  expect(performance.now() - startMs).toBeGreaterThan(25);
  const long = sleep(60_000, signal);
  stop.abort();
  await long;
  await sleep(60_000, signal); // this call ends immediately
  expect(performance.now() - startMs).toBeLessThan(30_000);
});

test("sleep() leaves no listener behind", async () => {
  const { signal, listeners } = createSignal();
  await Promise.all(Array.from({ length: 100 }, () => sleep(1, signal)));
  expect(listeners()).toBe(0);
});

test("createInFlightLimit() leaves no listener behind after waiting for capacity", async () => {
  const { signal, listeners } = createSignal();
  const load = createInFlightLimit({ messages: 1, bytes: 10 });
  for (let round = 0; round < 50; round++) {
    load.take(1, 1);
    const waiting = load.waitForCapacity(signal);
    load.release(1, 1);
    await waiting;
  }
  expect(listeners()).toBe(0);
});
