import { describe, expect, test } from "bun:test";
import { createReadiness } from "../../../../edge/http/readiness.ts";
import { makeEdgeApp } from "../../../support/edge/edge-app.ts";

function harness(shared: boolean) {
  const state = { now: 1_000_000, probes: 0, table: async () => {}, queue: async () => {} };
  const timers: (() => void)[] = [];
  const readiness = createReadiness({
    reachQueue: () => {
      state.probes++;
      return state.queue();
    },
    reachTable: () => state.table(),
    clock: () => state.now,
    after: (_ms, then) => {
      timers.push(then);
      return () => {};
    },
    shared,
  });
  return { state, readiness, timers };
}

const HERE = { queue: "here", table: "here" } as const;
const AWAY = { queue: "away", table: "away" } as const;

describe("createReadiness()", () => {
  test("probes once in two seconds, for any number of callers", async () => {
    const { state, readiness } = harness(true);
    const verdicts = await Promise.all(Array.from({ length: 100 }, readiness));
    expect(verdicts.every((verdict) => Bun.deepEquals(verdict, HERE))).toBe(true);
    state.queue = () => Promise.reject(new Error("away"));
    state.now += 1999;
    expect(await readiness()).toEqual(HERE);
    expect(state.probes).toBe(1);
    state.now += 1;
    expect(await readiness()).toEqual({ queue: "away", table: "here" });
    expect(state.probes).toBe(2);
  });

  test("probes again after the clock is set back", async () => {
    const { state, readiness } = harness(true);
    expect(await readiness()).toEqual(HERE);
    state.queue = () => Promise.reject(new Error("away"));
    state.now -= 3_600_000;
    expect(await readiness()).toEqual({ queue: "away", table: "here" });
    await readiness();
    expect(state.probes).toBe(2);
  });

  test("reports a dependency that hangs as away, and does not wait for it", async () => {
    const { state, readiness, timers } = harness(true);
    state.table = () => new Promise(() => {});
    const verdict = readiness();
    await Bun.sleep(0);
    for (const then of timers.splice(0)) then();
    expect(await verdict).toEqual({ queue: "here", table: "away" });
  });

  test("without shared I/O, a request during a probe gets the previous result", async () => {
    const { state, readiness } = harness(false);
    expect(await Promise.all([readiness(), readiness()])).toEqual([HERE, AWAY]);
    state.now += 2000;
    state.table = () => Promise.reject(new Error("away"));
    expect(await Promise.all([readiness(), readiness()])).toEqual([{ queue: "here", table: "away" }, HERE]);
    expect(state.probes).toBe(2);
  });
});

test("ingest is ready while the queue responds, and the admin routes while the table responds", async () => {
  for (const [queue, table, ingest, admin] of [
    ["here", "here", 200, 200],
    ["here", "away", 200, 503],
    ["away", "here", 503, 200],
    ["away", "away", 503, 503],
  ] as const) {
    const { app } = await makeEdgeApp({ readiness: async () => ({ queue, table }) });
    for (const [path, status] of [
      ["/readyz", ingest],
      ["/readyz/admin", admin],
    ] as const) {
      const answer = await app.request(path);
      expect([path, answer.status, answer.headers.get("cache-control")]).toEqual([path, status, "no-store"]);
      expect(answer.headers.get("retry-after")).toBe(status === 503 ? "5" : null);
      expect(await answer.json()).toMatchObject({ queue, table });
    }
  }
});

test("the response contains a fault of the AWS credentials, and nothing about them if there is none", async () => {
  for (const problem of ["not-renewed", "away", "refused", undefined] as const) {
    const { app } = await makeEdgeApp({ credentialProblem: () => problem });
    for (const path of ["/readyz", "/readyz/admin"]) {
      const body = (await (await app.request(path)).json()) as { credentials?: string };
      expect(body.credentials).toBe(problem);
    }
  }
});
