import { describe, expect, test } from "bun:test";
import { createPendingActions } from "../../../../edge/heartbeat/pending-actions.ts";
import type { CheckedAsset } from "../../../../shared/authority/check-reports.ts";
import { AuthorityFault } from "../../../../shared/authority/types.ts";
import { type Dynamo, marshalItem } from "../../../../shared/table/dynamo.ts";
import type { AssetItem } from "../../../../shared/table/items/asset/asset.ts";

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
  const state = {
    now: 1_000_000,
    queries: 0,
    fails: false,
    hangs: false,
    items: [isolated],
    refused: false,
    checked: 0,
  };
  const dynamo = (async () => {
    state.queries++;
    if (state.hangs) await new Promise(() => {});
    if (state.fails) throw new Error("away");
    return { Items: state.items.map(marshalItem) };
  }) as unknown as Dynamo;
  const logged: string[] = [];
  const lines: unknown[] = [];
  const ages: number[] = [];
  const timers: (() => void)[] = [];
  const actions = createPendingActions({
    dynamo,
    table: "t",
    authority: {
      checkReports: async (asset) => asset as CheckedAsset,
      readMany: async (keys) => {
        state.checked += keys.length;
        return keys.map(({ SK }) => (state.refused ? new AuthorityFault("org_a", SK, "mismatch") : {}));
      },
    },
    clock: () => state.now,
    log: (level, event, fields) => {
      logged.push(event);
      lines.push([level, event, fields]);
    },
    instruments: { actionSetAge: (ageMs) => void ages.push(ageMs) },
    shared,
    after: (_ms, then) => void timers.push(then),
  });
  return { state, actions, logged, lines, ages, timers };
}

describe("createPendingActions()", () => {
  /** Makes one request, which starts a refresh, and returns the set of pending actions after the refresh. */
  const settled = async ({ actions }: ReturnType<typeof harness>) => {
    await actions.of("org_a");
    await Bun.sleep(0);
    return actions.of("org_a");
  };
  test("leaves out an action whose asset fails the signature check, and adds it again once the check succeeds", async () => {
    const world = harness(true);
    const { state } = world;
    state.refused = true;
    expect((await settled(world)).has(ASSET)).toBe(false);
    state.refused = false;
    state.now += 59_000;
    expect((await settled(world)).has(ASSET)).toBe(false);
    state.now += 2001;
    expect((await settled(world)).has(ASSET)).toBe(true);
  });
  test("checks an asset again after it was absent from the set", async () => {
    const world = harness(true);
    const { state } = world;
    await settled(world);
    state.items = [];
    state.now += 2001;
    expect((await settled(world)).size).toBe(0);
    state.items = [isolated];
    state.now += 2001;
    expect((await settled(world)).has(ASSET)).toBe(true);
    expect(state.checked).toBe(2);
  });
  test("checks an asset once, and again after it was revoked", async () => {
    const world = harness(true);
    const { state } = world;
    for (let i = 0; i < 5; i++) {
      await settled(world);
      state.now += 2001;
    }
    expect(state.checked).toBe(1);
    state.items = [{ ...isolated, revokedAt: "2026-11-23T00:00:00.000Z" }];
    expect((await settled(world)).get(ASSET)?.revoked).toBe(true);
    expect(state.checked).toBe(2);
  });
  test("reads the table once in two seconds, for any number of heartbeats", async () => {
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

  test.each([true, false])("continues to read after the clock is set back, shared I/O %p", async (shared) => {
    const { state, actions, timers } = harness(shared);
    state.items = [];
    await actions.of("org_a");
    actions.learn("org_a", ASSET, { generation: 0, directive: "old", expiresAtMs: 9e12, revoked: false });
    let told = 0;
    actions.watch("org_a", ASSET, () => void told++);
    state.now -= 3_600_000;
    state.items = [isolated];
    await actions.of("org_a");
    await Bun.sleep(0);
    expect((await actions.of("org_a")).get(ASSET)?.directive).toBe("jws");
    const { queries } = state;
    state.now -= 3_600_000;
    for (const then of timers.splice(0)) then();
    expect([state.queries, told > 0]).toEqual([queries + 1, true]);
  });

  test("serves the stale set while it reads the next one", async () => {
    const { state, actions } = harness(true);
    await actions.of("org_a");
    state.items = [];
    state.now += 2000;
    expect((await actions.of("org_a")).size).toBe(1);
    await Bun.sleep(0);
    expect((await actions.of("org_a")).size).toBe(0);
  });

  test("continues to serve the last set while the table is unavailable, and logs that", async () => {
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

  test("a table that is unavailable from the start blocks no heartbeat", async () => {
    const { state, actions } = harness(true);
    state.fails = true;
    expect((await actions.of("org_a")).size).toBe(0);
  });

  test("forget() makes the next heartbeat see a change made on this node", async () => {
    const { state, actions } = harness(true);
    state.items = [];
    await actions.of("org_a");
    state.items = [isolated];
    actions.forget("org_a");
    expect((await actions.of("org_a")).size).toBe(1);
  });

  test("without shared I/O, one request reads after its response, and no request waits for it", async () => {
    const { state, actions } = harness(false);
    const after: Promise<unknown>[] = [];
    const ask = () => actions.of("org_a", (work) => void after.push(work));
    expect((await ask()).size).toBe(1);
    state.items = [];
    state.now += 2000;
    const sets = await Promise.all(Array.from({ length: 100 }, ask));
    expect(sets.map(({ size }) => size)).toEqual(Array(100).fill(1));
    expect([state.queries, after.length]).toEqual([2, 2]);
    await Promise.all(after);
    expect((await ask()).size).toBe(0);
  });

  test("without shared I/O, a table that hangs gets one query in two seconds and blocks no heartbeat", async () => {
    const { state, actions } = harness(false);
    const ask = () => actions.of("org_a", () => {});
    await ask();
    state.hangs = true;
    for (let second = 0; second < 10; second++) {
      state.now += 1000;
      const sets = await Promise.all([ask(), ask(), ask()]);
      expect(sets.every(({ size }) => size === 1)).toBe(true);
    }
    expect(state.queries).toBe(6);
  });

  test("without shared I/O, requests during the first read get its result with their own timers", async () => {
    const { state, actions, timers } = harness(false);
    const sets = Promise.all([actions.of("org_a"), actions.of("org_a"), actions.of("org_a")]);
    await Bun.sleep(0);
    for (const then of timers.splice(0)) then();
    expect((await sets).map(({ size }) => size)).toEqual([1, 1, 1]);
    expect(state.queries).toBe(1);
  });

  test("without shared I/O, a table that hangs from the start delays a heartbeat by at most two seconds", async () => {
    const { state, actions, timers } = harness(false);
    state.hangs = true;
    const sets = Promise.all([actions.of("org_a"), actions.of("org_a")]);
    await Bun.sleep(0);
    state.now += 2000;
    for (const then of timers.splice(0)) then();
    expect((await sets).map(({ size }) => size)).toEqual([0, 0]);
    expect(state.queries).toBe(1);
  });

  test("the age of the set is the time since the last read, and undefined before the first read", async () => {
    const { state, actions, ages } = harness(true);
    const ask = async () => {
      await actions.of("org_a");
      await Bun.sleep(0);
    };
    state.fails = true;
    await ask();
    expect(ages).toEqual([]);
    state.fails = false;
    for (const fails of [false, false, true, true, false, false]) {
      state.fails = fails;
      state.now += 2000;
      await ask();
    }
    expect(ages).toEqual([2000, 2000, 4000, 6000, 2000]);
  });

  test("learn() adds a change made on this node immediately, until the index contains it or a time limit passes", async () => {
    const { state, actions } = harness(true);
    state.items = [];
    await actions.of("org_a");
    const learnt = { generation: 2, directive: "new", expiresAtMs: 9e12, revoked: false };
    actions.learn("org_a", ASSET, learnt);
    expect((await actions.of("org_a")).get(ASSET)).toEqual(learnt);
    // The index is behind the table and still shows the state before the change.
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

  test("learn() keeps an action that the table does not contain only for a limited time", async () => {
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

  test("forget() during a read starts that read again, because it possibly began before the change", async () => {
    const { state, actions } = harness(true);
    state.items = [];
    const reading = actions.of("org_a");
    actions.forget("org_a");
    state.items = [isolated];
    expect((await reading).size).toBe(1);
    expect(state.queries).toBe(2);
  });

  test("watch() reads every two seconds as long as there is a watcher, and then stops", async () => {
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

  const learnt = { generation: 2, directive: "new", expiresAtMs: 9e12, revoked: false };

  test("one timer reads for all watchers of a tenant, and each is notified immediately of a change on this node", async () => {
    const { state, actions, timers } = harness(true);
    state.items = [];
    await actions.of("org_a");
    const told: string[] = [];
    for (const who of ["one", "two"]) actions.watch("org_a", ASSET, () => void told.push(who));
    actions.watch("org_a", "another", () => void told.push("of another asset"));
    expect(timers).toHaveLength(1);
    actions.learn("org_a", ASSET, learnt);
    expect(told).toEqual(["one", "two"]);
  });

  test.each([true, false])("forget() makes the very next call read again, shared I/O %p", async (shared) => {
    const { state, actions } = harness(shared);
    await actions.of("org_a");
    expect(state.queries).toBe(1);
    actions.forget("org_a");
    state.items = [];
    expect((await actions.of("org_a")).size).toBe(0);
    expect(state.queries).toBe(2);
  });

  test("an action learnt on this node replaces the index for less than ten seconds", async () => {
    const { state, actions } = harness(true);
    state.items = [];
    actions.learn("org_a", ASSET, learnt);
    for (const [atMs, size] of [
      [9999, 1],
      [10_000, 0],
    ] as const) {
      state.now = 1_000_000 + atMs;
      actions.forget("org_a");
      expect([atMs, (await actions.of("org_a")).size]).toEqual([atMs, size]);
    }
  });

  test("of 10,000 tenants, the least recently used one is removed, unless it has a watcher", async () => {
    const { state, actions } = harness(true);
    state.items = [];
    const stop = actions.watch("org_0", ASSET, () => {});
    for (let at = 0; at < 10_000; at++) await actions.of(`org_${at}`);
    expect(state.queries).toBe(10_000);
    await actions.of("org_1");
    expect(state.queries).toBe(10_000);
    await actions.of("org_new");
    await actions.of("org_0");
    await actions.of("org_2");
    expect(state.queries).toBe(10_001);
    await actions.of("org_1");
    expect(state.queries).toBe(10_002);
    stop();
    await actions.of("org_newer");
    await actions.of("org_0");
    expect(state.queries).toBe(10_004);
  });

  test("a timer reads nothing that was read within the last second", async () => {
    const { state, actions, timers } = harness(true);
    await actions.of("org_a");
    actions.watch("org_a", ASSET, () => {});
    for (const [sinceMs, queries] of [
      [999, 1],
      [1000, 2],
      [1999, 3],
    ] as const) {
      state.now += sinceMs;
      for (const then of timers.splice(0)) then();
      await Bun.sleep(0);
      expect([sinceMs, state.queries]).toEqual([sinceMs, queries]);
    }
  });

  test("forget() reads immediately if there is a watcher, and otherwise with the next call", async () => {
    const { state, actions } = harness(true);
    await actions.of("org_a");
    actions.forget("org_a");
    await Bun.sleep(0);
    expect(state.queries).toBe(1);
    const told: number[] = [];
    actions.watch("org_a", ASSET, ({ generation }) => void told.push(generation));
    actions.forget("org_a");
    await Bun.sleep(0);
    expect([state.queries, told]).toEqual([2, [1]]);
  });

  test("the log contains the age of the stale set, and no age if nothing was ever read", async () => {
    const { state, actions, lines } = harness(true);
    state.fails = true;
    await actions.of("org_a");
    state.fails = false;
    state.now += 2000;
    await actions.of("org_a");
    await Bun.sleep(0);
    state.fails = true;
    state.now += 2500;
    await actions.of("org_a");
    await Bun.sleep(0);
    const error = new Error("away");
    expect(lines).toEqual([
      ["warn", "open-actions.stale", { tenantId: "org_a", error }],
      ["warn", "open-actions.stale", { tenantId: "org_a", ageMs: 2500, error }],
    ]);
  });
});
