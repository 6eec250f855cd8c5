import { describe, expect, test } from "bun:test";
import { createFetch } from "../../../../edge/app.ts";
import type { LongPolls } from "../../../../edge/directive/long-polls.ts";
import { createShutdown, shutDown } from "../../../../edge/http/graceful-shutdown.ts";
import { makeHeartbeat, signedRequest } from "../../../../lz/platform/simulated-agents.ts";
import { EDGE_URL, makeEdgeApp } from "../../../support/edge/edge-app.ts";

/** Test setup: pauses whose end the test controls, and a list of events in order. */
function world() {
  const happened: string[] = [];
  const pauses = new Map<number, () => void>();
  const pause = (ms: number) => new Promise<void>((resolve) => void pauses.set(ms, resolve));
  const stopped = Promise.withResolvers<void>();
  const deps = {
    pause,
    shutdown: createShutdown(pause, 5),
    longPolls: { end: () => void happened.push("polls let go") } as unknown as LongPolls,
    log: (level: string, event: string) => void happened.push(`${level} ${event}`),
  };
  const stop = () => {
    happened.push("stopping");
    return stopped.promise;
  };
  const end = async (ms: number) => {
    pauses.get(ms)!();
    await Bun.sleep(0);
  };
  return { happened, deps, stop, stopped, end };
}

describe("shutDown()", () => {
  test("drains for the configured time, then ends long polls, then stops", async () => {
    const { happened, deps, stop, stopped, end } = world();
    expect(deps.shutdown.hasBegun()).toBe(false);
    const left = shutDown(deps, stop);
    expect(deps.shutdown.hasBegun()).toBe(true);
    await Bun.sleep(0);
    expect(happened).toEqual([]);
    await end(5000);
    expect(happened).toEqual(["polls let go", "stopping"]);
    stopped.resolve();
    expect(await left).toBe(0);
  });

  test("returns immediately on a second call", async () => {
    const { happened, deps, stop } = world();
    void shutDown(deps, stop);
    expect(await shutDown(deps, stop)).toBe(1);
    expect(happened).toEqual([]);
  });

  test("does not wait for a request that never ends, and logs that", async () => {
    const { happened, deps, stop, end } = world();
    const left = shutDown(deps, stop);
    await end(5000);
    await end(20_000);
    expect(await left).toBe(1);
    expect(happened.at(-1)).toBe("error edge.stopped-late");
  });
});

describe("a node that is draining", () => {
  test("is not ready, is alive, accepts heartbeats, and closes each connection after its response", async () => {
    const shutdown = createShutdown(async () => {}, 5);
    const { deps, openSession, state } = await makeEdgeApp({ shutdown });
    const answer = createFetch(deps);
    const signer = await openSession();
    const body = JSON.stringify(makeHeartbeat(1, state.nowMs, "host"));
    const askAll = async () => {
      const beat = await signedRequest(EDGE_URL, "/v1/heartbeats", body, signer, state.nowMs / 1000);
      const requests = ["/healthz", "/readyz", "/readyz/admin"].map((path) => new Request(EDGE_URL + path));
      const answers = await Promise.all([...requests, beat].map((request) => answer(request)));
      return answers.map(({ status, headers }) => [status, headers.get("connection")]);
    };
    expect(await askAll()).toEqual([
      [200, null],
      [200, null],
      [200, null],
      [202, null],
    ]);
    await shutdown.begin();
    expect(await askAll()).toEqual([
      [200, "close"],
      [503, "close"],
      [503, "close"],
      [202, "close"],
    ]);
    const told = await answer(new Request(`${EDGE_URL}/readyz`));
    expect(await told.json()).toMatchObject({ code: "edge.unavailable", node: "leaving" });
  });
});
