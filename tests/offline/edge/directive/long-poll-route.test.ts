import { describe, expect, test } from "bun:test";
import { createLongPolls, type LongPolls } from "../../../../edge/directive/long-polls.ts";
import { createPendingActions } from "../../../../edge/heartbeat/pending-actions.ts";
import type { PendingAction } from "../../../../edge/heartbeat/read-pending-actions.ts";
import { signedRequest } from "../../../../lz/platform/simulated-agents.ts";
import type { CheckedAsset } from "../../../../shared/authority/check-reports.ts";
import { type Dynamo, marshalItem } from "../../../../shared/table/dynamo.ts";
import type { AssetItem } from "../../../../shared/table/items/asset/asset.ts";
import { DIRECTIVE_HOLD_MS, DIRECTIVE_PATH } from "../../../../shared/wire/directive-poll.ts";
import type { Signer } from "../../../../shared/wire/signature.ts";
import { ASSET_ID, EDGE_URL, makeEdgeApp, TENANT_ID } from "../../../support/edge/edge-app.ts";

const OTHER_ASSET = "01M807NRG7BVMVH9SM4YAEXFPH";

/** A fake timer. The test decides when it fires. */
type Timer = { ms: number; then: () => void; isCancelled: boolean };

const action = (generation: number, more: Partial<PendingAction> = {}): PendingAction => ({
  generation,
  directive: `directive.of.${generation}`,
  expiresAtMs: 4_000_000_000_000,
  revoked: false,
  ...more,
});

async function makeWorld({ heldMax = 10 } = {}) {
  const timers: Timer[] = [];
  const after = (ms: number, then: () => void) => {
    const timer: Timer = { ms, then, isCancelled: false };
    timers.push(timer);
    return () => {
      timer.isCancelled = true;
    };
  };
  const stored: AssetItem[] = [];
  const dynamo = (async () => ({ Items: stored.map(marshalItem) })) as unknown as Dynamo;
  const pendingActions = createPendingActions({
    dynamo,
    table: "t",
    authority: {
      readMany: async (keys) => keys.map(() => ({})),
      checkReports: async (asset) => asset as CheckedAsset,
    },
    clock: () => world.state.nowMs,
    log: () => {},
    instruments: { actionSetAge: () => {} },
    shared: true,
    after,
  });
  const longPolls: LongPolls = createLongPolls(pendingActions, after, heldMax);
  const kept: number[] = [];
  const world = await makeEdgeApp({
    pendingActions,
    longPolls,
    keepOpen: (_request, seconds) => void kept.push(seconds),
  });
  const signer = await world.openSession();
  const poll = async (body: unknown = { v: 1, generation: 0 }, by: Signer = signer, signal?: AbortSignal) => {
    const text = typeof body === "string" ? body : JSON.stringify(body);
    const created = Math.floor(world.state.nowMs / 1000);
    const request = await signedRequest(EDGE_URL, DIRECTIVE_PATH, text, by, created);
    return world.app.request(new Request(request, signal ? { signal } : {}));
  };
  const fire = (ms: number): void => {
    for (const timer of timers.splice(0)) {
      if (timer.ms === ms && !timer.isCancelled) timer.then();
      else timers.push(timer);
    }
  };
  /** Waits until the edge keeps `count` long polls open. */
  const held = async (count = 1): Promise<void> => {
    const open = () => timers.filter(({ ms, isCancelled }) => ms === DIRECTIVE_HOLD_MS && !isCancelled);
    while (open().length < count) await Bun.sleep(1);
  };
  return { ...world, signer, stored, pendingActions, longPolls, timers, kept, poll, fire, held };
}

const isOpen = async (answer: Promise<Response>): Promise<boolean> =>
  Promise.race([answer.then(() => false), Bun.sleep(20).then(() => true)]);

describe("POST /v1/directive", () => {
  test("returns a pending directive immediately, and 204 after the maximum time if there is none", async () => {
    const world = await makeWorld();
    const held = world.poll();
    await world.held();
    expect(await isOpen(held)).toBe(true);
    expect(world.kept).toEqual([DIRECTIVE_HOLD_MS / 1000 + 5]);
    world.fire(DIRECTIVE_HOLD_MS);
    const empty = await held;
    expect([empty.status, await empty.text(), empty.headers.get("retry-after")]).toEqual([204, "", null]);
    world.pendingActions.learn(TENANT_ID, ASSET_ID, action(1));
    const full = await world.poll();
    expect([full.status, await full.json()]).toEqual([200, { directive: "directive.of.1" }]);
    expect(full.headers.get("cache-control")).toBe("no-store");
  });

  test("returns the directive as soon as an admin isolates the asset on this node, to this asset only", async () => {
    const world = await makeWorld();
    const [mine, others] = [world.poll(), world.poll(undefined, await world.openSession(OTHER_ASSET))];
    const stranger = world.poll(undefined, await world.openSession(ASSET_ID, "org_b"));
    await world.held(3);
    world.pendingActions.learn(TENANT_ID, ASSET_ID, action(1));
    expect(await (await mine).json()).toEqual({ directive: "directive.of.1" });
    expect([await isOpen(others), await isOpen(stranger)]).toEqual([true, true]);
    world.longPolls.end();
    expect([(await others).status, (await stranger).status]).toEqual([204, 204]);
  });

  test("returns the directive within one refresh if another node isolated the asset, without any heartbeat", async () => {
    const world = await makeWorld();
    const held = world.poll();
    await world.held();
    world.stored.push(isolated());
    world.state.nowMs += 2000;
    world.fire(2000);
    expect(await (await held).json()).toEqual({ directive: "from.the.table" });
  });

  test("stays open for actions that the host has already applied or that have expired", async () => {
    const world = await makeWorld();
    const held = world.poll({ v: 1, generation: 3 });
    await world.held();
    world.pendingActions.learn(TENANT_ID, ASSET_ID, action(3));
    world.pendingActions.learn(TENANT_ID, ASSET_ID, action(4, { expiresAtMs: world.state.nowMs }));
    expect(await isOpen(held)).toBe(true);
    world.pendingActions.learn(TENANT_ID, ASSET_ID, action(5));
    expect((await held).status).toBe(200);
  });

  test("reports the revocation to a revoked asset, even during an open poll", async () => {
    const world = await makeWorld();
    const held = world.poll();
    await world.held();
    world.pendingActions.learn(TENANT_ID, ASSET_ID, action(1, { revoked: true }));
    for (const answer of [await held, await world.poll()])
      expect([answer.status, ((await answer.json()) as { code: string }).code]).toEqual([
        403,
        "asset.revoked",
      ]);
  });

  test("a newer poll of an asset ends the older one, and a poll beyond the limit is told to retry later", async () => {
    const world = await makeWorld({ heldMax: 1 });
    const older = world.poll();
    await world.held();
    const newer = world.poll();
    expect((await older).status).toBe(204);
    await world.held();
    const beyond = await world.poll(undefined, await world.openSession(OTHER_ASSET));
    expect([beyond.status, beyond.headers.get("retry-after")]).toEqual([204, "60"]);
    expect(await isOpen(newer)).toBe(true);
    world.longPolls.end();
    await newer;
    expect((await world.poll()).headers.get("retry-after")).toBe("60");
  });

  test("a client that disconnects leaves no open poll", async () => {
    const world = await makeWorld({ heldMax: 1 });
    const client = new AbortController();
    const gone = world.poll(undefined, undefined, client.signal);
    await world.held();
    client.abort();
    await gone.catch(() => {});
    expect(world.timers.filter(({ ms, isCancelled }) => ms === DIRECTIVE_HOLD_MS && !isCancelled)).toEqual(
      [],
    );
    const next = world.poll(undefined, await world.openSession(OTHER_ASSET));
    await world.held();
    world.longPolls.end();
    expect((await next).headers.get("retry-after")).toBeNull();
  });

  test("is rejected without a session of the asset, with a stale or unknown signature, and if it is malformed", async () => {
    const world = await makeWorld();
    const code = async (answer: Promise<Response>) =>
      ((await (await answer).json()) as { code: string }).code;
    const forged = { ...world.signer, keyid: world.signer.keyid.replace(ASSET_ID, OTHER_ASSET) };
    expect(await code(world.poll(undefined, forged))).toBe("wire.bad-signature");
    const plain = new Request(`${EDGE_URL}${DIRECTIVE_PATH}`, {
      method: "POST",
      body: '{"v":1,"generation":0}',
    });
    expect(await code(Promise.resolve(world.app.request(plain)))).toBe("wire.unsigned");
    const body = '{"v":1,"generation":0}';
    const created = Math.floor(world.state.nowMs / 1000);
    const elsewhere = await signedRequest(EDGE_URL, "/v1/heartbeats", body, world.signer, created);
    const moved = new Request(`${EDGE_URL}${DIRECTIVE_PATH}`, {
      method: "POST",
      headers: elsewhere.headers,
      body,
    });
    expect(await code(Promise.resolve(world.app.request(moved)))).toBe("wire.bad-signature");
    for (const wrong of [
      "{",
      { v: 2, generation: 0 },
      { v: 1, generation: -1 },
      { v: 1, generation: 0, x: 1 },
    ])
      expect(await code(world.poll(wrong))).toBe("wire.malformed");
    expect(await code(world.poll(`{"v":1,"generation":0${" ".repeat(1024)}}`))).toBe("wire.too-large");
    world.state.nowMs += 3600_001;
    expect(await code(world.poll())).toBe("wire.session-expired");
  });

  test("does not exist on a runtime without long polls", async () => {
    const world = await makeEdgeApp();
    const signer = await world.openSession();
    const created = Math.floor(world.state.nowMs / 1000);
    const request = await signedRequest(EDGE_URL, DIRECTIVE_PATH, '{"v":1,"generation":0}', signer, created);
    expect((await world.app.request(request)).status).toBe(404);
  });
});

const isolated = (): AssetItem => ({
  type: "Asset",
  tenantId: TENANT_ID,
  assetId: ASSET_ID,
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
    expiresAt: "2099-12-21T00:00:00.000Z",
    directive: "from.the.table",
  },
  custodyCount: 1,
});
