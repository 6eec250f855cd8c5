import { describe, expect, test } from "bun:test";
import { createOpenActions } from "../../../edge/open-actions.ts";
import { type Dynamo, marshalItem } from "../../../shared/table/dynamo.ts";
import type { AssetItem } from "../../../shared/table/items.ts";

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
  const actions = createOpenActions({
    dynamo,
    table: "t",
    clock: () => state.now,
    log: (_level, event) => void logged.push(event),
    instruments: { stale: () => {} },
    shared,
  });
  return { state, actions, logged };
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
});
