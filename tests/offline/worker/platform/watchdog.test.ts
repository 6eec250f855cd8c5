import { expect, test } from "bun:test";
import { answerProbe } from "../../../../worker/platform/health-endpoint.ts";
import { createMetrics, exposition } from "../../../../worker/platform/metrics.ts";
import { createWatchdog } from "../../../../worker/platform/watchdog.ts";

function createDog() {
  let now = 1_790_000_000_000;
  const dog = createWatchdog(() => now, 120);
  return { dog, wait: (seconds: number) => (now += seconds * 1000) };
}

test("createWatchdog() is unwell after half of the limit and stalled after the whole, not earlier", () => {
  const { dog, wait } = createDog();
  wait(59.999);
  expect([dog.isWell(), dog.isStalled()]).toEqual([true, false]);
  wait(0.001);
  expect([dog.isWell(), dog.isStalled()]).toEqual([false, false]);
  wait(59.999);
  expect(dog.isStalled()).toBe(false);
  wait(0.001);
  expect(dog.isStalled()).toBe(true);
});

test("createWatchdog() restarts with each completed receive", () => {
  const { dog, wait } = createDog();
  for (let i = 0; i < 100; i++) {
    wait(100);
    dog.onProgress();
  }
  wait(119);
  expect(dog.isStalled()).toBe(false);
  wait(1);
  expect(dog.isStalled()).toBe(true);
});

test("answerProbe() serves health and metrics, and 404 for everything else", async () => {
  const { dog, wait } = createDog();
  const metrics = createMetrics();
  metrics.gauge("queue_age_seconds", 12.5);
  metrics.gauge("lag_seconds", 13);
  metrics.count("webhooks_dead_total", 2);
  const ask = (path: string) => answerProbe(new Request(`http://worker${path}`), metrics, dog);
  expect(ask("/healthz").status).toBe(200);
  wait(60);
  expect(ask("/healthz").status).toBe(503);
  expect(await ask("/healthz").json()).toEqual({ silentSeconds: 60 });
  expect(ask("/").status).toBe(404);
  const exposed = await ask("/metrics").text();
  expect(ask("/metrics").headers.get("content-type")).toBe("text/plain; version=0.0.4");
  for (const line of [
    "lz_worker_queue_age_seconds 12.5",
    "lz_worker_lag_seconds 13",
    "lz_worker_webhooks_dead_total 2",
  ])
    expect(exposed.split("\n")).toContain(line);
});

test("exposition() has help and type for each metric, counters from the start and gauges once set", () => {
  const text = exposition(createMetrics());
  expect(text).toMatch(
    /# TYPE lz_worker_forwards_faulted_total counter\nlz_worker_forwards_faulted_total 0\n/,
  );
  expect(text).not.toContain("queue_age_seconds");
  const names = [...text.matchAll(/^# TYPE (\S+) /gm)].map(([, name]) => name);
  expect(new Set(names).size).toBe(names.length);
});
