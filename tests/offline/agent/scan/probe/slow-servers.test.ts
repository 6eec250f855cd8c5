import { describe, expect, test } from "bun:test";
import { catalogue } from "../../../../../agent/catalogue/engines/list.ts";
import { fingerprint } from "../../../../../agent/scan/probe/fingerprint.ts";
import { createByteBudget, createKeeper } from "../../../../../agent/scan/probe/kept-answer.ts";
import { PROBE_LIMITS, type Probe, type ProbeResult } from "../../../../../agent/scan/probe/probe.ts";
import { ListenerProber } from "../../../../../agent/scan/probe/probe-listeners.ts";
import { FINGERPRINT_LIMITS } from "../../../../../agent/scan/probe/probe-session.ts";
import type { Listener, ProcessFacts } from "../../../../../agent/scan/system/host.ts";

const PID = 500;
const process: ProcessFacts = { pid: PID, parentPid: 1, key: "500:1:x", name: "x", argv: [] };
const listener: Listener = {
  key: "own/1",
  address: "127.0.0.1",
  port: 49_999,
  pid: PID,
  reachableAt: "127.0.0.1",
};
const sighting = { processes: new Map([[PID, process]]), listeners: [listener] };
const NOT_FOUND = { status: 404, headers: {}, body: "Not Found" };

type Asked = { path: string; isAnswered: boolean };

/** A fake server that takes `latencyMs` per response, and a fake clock that advances by this latency. */
function slowServer(latencyMs: number, answers: Record<string, unknown>) {
  const state = { nowMs: 0, asked: [] as Asked[] };
  const probe: Probe = async (_, path, { timeoutMs = PROBE_LIMITS.TIMEOUT_MS } = {}) => {
    const isAnswered = latencyMs <= timeoutMs;
    state.asked.push({ path, isAnswered });
    // Four requests run at the same time, so each request advances the clock by a quarter of the latency.
    state.nowMs += Math.min(latencyMs, timeoutMs) / FINGERPRINT_LIMITS.AT_ONCE;
    await Promise.resolve();
    const body = answers[path];
    if (!isAnswered) return { failed: "silent" };
    return body === undefined
      ? NOT_FOUND
      : { status: 200, headers: {}, body: typeof body === "string" ? body : JSON.stringify(body) };
  };
  return { state, probe };
}

/**
 * Products that are not recognised by their front page or a model list. The scan requests the paths of these
 * products late.
 */
const LATE = catalogue
  .flatMap((entry) => entry.fixtures.positive.map((fixture) => ({ entry, fixture })))
  .filter(({ fixture }) => fixture.answers && !fixture.answers["/"] && !fixture.answers["/v1/models"])
  .filter(({ fixture }) =>
    Object.values(fixture.answers!).every(
      ({ headers, status }) => headers === undefined && status === undefined,
    ),
  );

describe("ListenerProber with slow servers", () => {
  test.each([
    [600, 30],
    [1000, 30],
    [3000, 120],
  ])("names a server that needs %p ms for a response within %p s", async (latencyMs, seconds) => {
    expect(LATE.length).toBeGreaterThan(5);
    for (const { entry, fixture } of LATE) {
      const bodies = Object.entries(fixture.answers!).map(([path, { body }]) => [path, body ?? {}]);
      const { state, probe } = slowServer(latencyMs, Object.fromEntries(bodies));
      const listening = new ListenerProber({ probe, catalogue, selfPid: 1, elapsed: () => state.nowMs });
      let named: string | undefined;
      while (named === undefined && state.nowMs < seconds * 1000) {
        const { heard } = await listening.update(sighting, () => new Set());
        named = heard[0]?.fingerprint.judgement.winner?.entry.id;
        if (named === undefined) state.nowMs += 5000;
      }
      expect([entry.id, named]).toEqual([entry.id, entry.id]);
      const answered = state.asked.filter(({ isAnswered }) => isAnswered).map(({ path }) => path);
      expect(new Set(answered).size).toBe(answered.length);
    }
  });

  test("retries a silent listener with growing timeouts and growing delays", async () => {
    const waits: number[] = [];
    const at: number[] = [];
    let nowMs = 0;
    const probe: Probe = async (_, __, { timeoutMs = PROBE_LIMITS.TIMEOUT_MS } = {}) => {
      waits.push(timeoutMs);
      at.push(nowMs);
      return { failed: "silent" };
    };
    const listening = new ListenerProber({ probe, catalogue, selfPid: 1, elapsed: () => nowMs });
    for (; nowMs < 40_000; nowMs += 1000) await listening.update(sighting, () => new Set());
    expect(waits.slice(0, 5)).toEqual([800, 1600, 3200, 6400, 6400]);
    expect(at.slice(0, 5)).toEqual([0, 1000, 3000, 7000, 15_000]);
  });
});

test("fingerprint() keeps what is known of a product and adds its version once that response arrives", async () => {
  let isHanging = true;
  const answers: Record<string, ProbeResult> = {
    "/": { status: 200, headers: {}, body: "Ollama is running" },
    "/api/tags": { status: 200, headers: {}, body: '{"models":[]}' },
    "/api/version": { status: 200, headers: {}, body: '{"version":"0.12.6"}' },
  };
  const probe: Probe = async (_, path) => {
    if (path === "/api/version" && isHanging) return { failed: "silent" };
    return answers[path] ?? NOT_FOUND;
  };
  const deps = { probe, catalogue, elapsed: () => 0 };
  const where = { address: "127.0.0.1", port: 1 };
  const first = await fingerprint(deps, where, new Set(["ollama"]));
  expect(first.judgement.winner?.entry.id).toBe("ollama");
  expect([first.version, first.rest === undefined]).toEqual([undefined, false]);
  isHanging = false;
  const second = await fingerprint(deps, where, new Set(["ollama"]), { rest: first.rest });
  expect([second.version, second.rest]).toEqual(["0.12.6", undefined]);
});

test("does not request a path again after four attempts without a response", async () => {
  const asked: string[] = [];
  const probe: Probe = async (_, path) => {
    asked.push(path);
    return path === "/v1/models" ? { failed: "silent" } : NOT_FOUND;
  };
  const deps = { probe, catalogue, elapsed: () => 0 };
  let found = await fingerprint(deps, { address: "127.0.0.1", port: 1 }, new Set());
  for (let attempts = 1; found.rest && attempts < 10; attempts += 1)
    found = await fingerprint(deps, found.target, new Set(), { rest: found.rest });
  expect(found).toMatchObject({ settled: true });
  expect(asked.filter((path) => path === "/v1/models")).toHaveLength(FINGERPRINT_LIMITS.ATTEMPTS_MAX);
});

test("a waiting probe session frees the shared memory, and repeats requests whose responses did not fit", () => {
  const shared = createByteBudget(100_000, () => undefined);
  const keeper = createKeeper(catalogue, shared);
  const body = JSON.stringify({ data: Array.from({ length: 100 }, (_, at) => ({ id: `m${at}` })) });
  const kept = keeper.keep("/v1/models", { status: 200, headers: {}, body });
  expect(shared.take(99_000)).toBe(false);
  keeper.park(createByteBudget(1_000_000), () => {
    throw new Error("there was room");
  });
  expect(shared.take(99_000)).toBe(true);
  expect(kept.json).toBeDefined();
  const lost: string[] = [];
  keeper.park(createByteBudget(10), (path) => lost.push(path));
  expect([lost, kept.json]).toEqual([["/v1/models"], undefined]);
});
