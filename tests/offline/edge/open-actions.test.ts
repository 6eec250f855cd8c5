import { describe, expect, test } from "bun:test";
import { createOpenActions } from "../../../edge/open-actions.ts";
import { type Dynamo, marshalItem } from "../../../shared/table/dynamo.ts";
import type { AssetItem } from "../../../shared/table/items/asset.ts";

const ASSET = "01M807NRG7BVMVH9SM4YAEXFPG";
const isolated: AssetItem = {
  type: "Asset",
  tenantId: "org_a",
  assetId: ASSET,
  employeeId: "dana",
  hostname: "h",
  os: "Linux",
  arch: "x64",
  deviceKey: "A".repeat(43),
  enrolledAt: "2026-11-21T00:00:00.000Z",
  status: "ISOLATED",
  generation: 1,
  wish: {
    generation: 1,
    action: "isolate",
    mode: "observe",
    requestedAt: "2026-11-21T00:00:00.000Z",
    expiresAt: "2026-12-21T00:00:00.000Z",
    directive: "jws",
  },
  custodyCount: 1,
};

function harness(shared: boolean) {
  const state = { now: 1_000_000, queries: 0, fails: false, items: [isolated] };
  const dynamo = (async () => {
    state.queries++;
    if (state.fails) throw new Error("away");
    return { Items: state.items.map(marshalItem) };
  }) as unknown as Dynamo;
  const logged: string[] = [];
  const timers: (() => void)[] = [];
  const actions = createOpenActions({
    dynamo,
    table: "t",
    clock: () => state.now,
    log: (_level, event) => void logged.push(event),
    instruments: { stale: () => {} },
    shared,
    after: (_ms, then) => void timers.push(then),
  });
  return { state, actions, logged, timers };
}

describe("createOpenActions()", () => {
  test("asks the table once in two seconds, however many heartbeats come", async () => {
    const { state, actions } = harness(true);
    const sets = await Promise.all(Array.from({ length: 100 }, () => actions.of("org_a")));
    expect(sets.every((set) => set.get(ASSET)?.directive === "jws")).toBe(true);
    state.now += 1999;
    await actions.of("org_a");
    expect(state.queries).toBe(1);
    state.now += 1;
    await actions.of("org_a");
    expect(state.queries).toBe(2);
  });

  test("serves the stale set while it reads the next, which then serves", async () => {
    const { state, actions } = harness(true);
    await actions.of("org_a");
    state.items = [];
    state.now += 2000;
    expect((await actions.of("org_a")).size).toBe(1);
    await Bun.sleep(0);
    expect((await actions.of("org_a")).size).toBe(0);
  });

  test("goes on serving the last set while the table is away, and says so", async () => {
    const { state, actions, logged } = harness(true);
    await actions.of("org_a");
    state.fails = true;
    for (let i = 0; i < 3; i++) {
      state.now += 2000;
      expect((await actions.of("org_a")).size).toBe(1);
      await Bun.sleep(0);
    }
    expect(logged).toEqual(["open-actions.stale", "open-actions.stale", "open-actions.stale"]);
  });

  test("a table that is away from the start stops no heartbeat", async () => {
    const { state, actions } = harness(true);
    state.fails = true;
    expect((await actions.of("org_a")).size).toBe(0);
  });

  test("forget() makes the next heartbeat see a change made here", async () => {
    const { state, actions } = harness(true);
    state.items = [];
    await actions.of("org_a");
    state.items = [isolated];
    actions.forget("org_a");
    expect((await actions.of("org_a")).size).toBe(1);
  });

  test("without shared I/O every request waits for its own read and for no other's", async () => {
    const { state, actions } = harness(false);
    await Promise.all([actions.of("org_a"), actions.of("org_a")]);
    expect(state.queries).toBe(2);
    await actions.of("org_a");
    expect(state.queries).toBe(2);
  });

  test("learn() puts a change made here into the set at once, until the index shows it or has had its time", async () => {
    const { state, actions } = harness(true);
    state.items = [];
    await actions.of("org_a");
    const learnt = { generation: 2, directive: "new", expiresAtMs: 9e12, revoked: false };
    actions.learn("org_a", ASSET, learnt);
    expect((await actions.of("org_a")).get(ASSET)).toEqual(learnt);
    // An index that lags still shows the change before it.
    state.items = [isolated];
    state.now += 2000;
    await actions.of("org_a");
    await Bun.sleep(0);
    expect((await actions.of("org_a")).get(ASSET)?.directive).toBe("new");
    state.items = [
      { ...isolated, generation: 3, wish: { ...isolated.wish!, generation: 3, directive: "newest" } },
    ];
    state.now += 2000;
    await actions.of("org_a");
    await Bun.sleep(0);
    expect((await actions.of("org_a")).get(ASSET)?.directive).toBe("newest");
  });

  test("learn() does not keep alive for long what the table does not know", async () => {
    const { state, actions } = harness(true);
    state.items = [];
    actions.learn("org_a", ASSET, { generation: 2, directive: "new", expiresAtMs: 9e12, revoked: false });
    for (const [laterMs, size] of [
      [9000, 1],
      [2000, 0],
    ] as const) {
      state.now += laterMs;
      await actions.of("org_a");
      await Bun.sleep(0);
      expect((await actions.of("org_a")).size).toBe(size);
    }
  });

  test("forget() during a read makes that read start again: it may have begun before the change", async () => {
    const { state, actions } = harness(true);
    state.items = [];
    const reading = actions.of("org_a");
    actions.forget("org_a");
    state.items = [isolated];
    expect((await reading).size).toBe(1);
    expect(state.queries).toBe(2);
  });

  test("watch() reads every two seconds for as long as anybody watches, and not a moment longer", async () => {
    const { state, actions, timers } = harness(true);
    state.items = [];
    await actions.of("org_a");
    const told: number[] = [];
    const stop = actions.watch("org_a", ASSET, ({ generation }) => void told.push(generation));
    const tick = async () => {
      state.now += 2000;
      for (const then of timers.splice(0)) then();
      await Bun.sleep(0);
    };
    await tick();
    state.items = [isolated];
    await tick();
    expect([told, state.queries]).toEqual([[1], 3]);
    stop();
    await tick();
    expect([told, state.queries, timers.length]).toEqual([[1], 3, 0]);
  });
});
