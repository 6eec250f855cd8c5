import { describe, expect, test } from "bun:test";
import type { AssetView } from "../../../../../edge/control/assets/asset-view.ts";
import { BULK_ASSETS_MAX } from "../../../../../edge/control/assets/retire-assets.ts";
import type { IncidentView } from "../../../../../edge/control/incidents/list-incidents.ts";
import { createPendingActions } from "../../../../../edge/heartbeat/pending-actions.ts";
import { enrolDevice, makeDevice, openSession } from "../../../../../lz/platform/simulated-agents.ts";
import { auditAuthority } from "../../../../../shared/authority/audit-authority.ts";
import { createAuthority } from "../../../../../shared/authority/read-authority.ts";
import { createVerifier } from "../../../../../shared/authority/verify-authority.ts";
import { verifyCustody } from "../../../../../shared/containment/custody-chain.ts";
import type { AuditItem, CustodyHeadItem } from "../../../../../shared/table/items/custody.ts";
import { DAY_MS } from "../../../../../shared/time/durations.ts";
import { createIds, type Host, itemsOf } from "../../../../browser/seed.ts";
import { makeSigningKey, signStored } from "../../../../support/control/authority.ts";
import { createMemoryDynamo } from "../../../../support/dynamo/memory-dynamo.ts";
import { makeAdminApp } from "../../../../support/edge/admin-app.ts";
import { EDGE_URL, TENANT_ID } from "../../../../support/edge/edge-app.ts";

const because = { justification: "returned to the lender" };

/** Test setup: an admin node that enforces signatures, and the hosts that `make` describes. */
async function makeWorld(make: (nowMs: number) => Partial<Host>[] = () => []) {
  const table = createMemoryDynamo();
  const enrol = await makeSigningKey("enrol-1");
  const app = await makeAdminApp({ dynamo: table.dynamo, enrolKey: enrol.key });
  const { deps, state } = app;
  state.nowMs = Date.now(); // the simulated devices sign with the real time
  const verifier = createVerifier(deps.controlJwks, enrol.jwks);
  deps.authority = createAuthority({
    ...{ dynamo: table.dynamo, table: "t", verifier, mode: "enforce" as const, log: deps.log },
    pause: async () => {},
  });
  deps.pendingActions = createPendingActions({
    ...{ dynamo: table.dynamo, table: "t", authority: deps.authority, clock: deps.clock, log: deps.log },
    ...{ instruments: { actionSetAge: () => {} }, shared: true, after: () => {} },
  });
  const nextId = createIds(state.nowMs - 100 * DAY_MS);
  const hosts = make(state.nowMs).map(
    (more, index): Host => ({
      ...{ tenantId: TENANT_ID, assetId: nextId(), hostname: `host-${index}`, employeeId: "mara" },
      ...{
        os: "Debian",
        enrolledAtMs: state.nowMs - 90 * DAY_MS,
        states: [{ atMs: state.nowMs - 80 * DAY_MS, engines: [] }],
      },
      lastSeenAtMs: state.nowMs - 40 * DAY_MS,
      ...more,
    }),
  );
  for (const Item of hosts.flatMap(itemsOf)) await table.dynamo("PutItem", { TableName: "t", Item });
  await signStored(deps, TENANT_ID);
  const tokens = {
    admin: await app.session(),
    responder: await app.session({ o: { id: TENANT_ID, rol: "responder" } }),
  };
  let requests = 0;
  const ask = async (
    method: string,
    path: string,
    body?: object,
    key?: string,
    role: "admin" | "responder" = "admin",
  ) => {
    const answer = await app.ask(`/v1${path}`, tokens[role], {
      method,
      headers: { "content-type": "application/json", "idempotency-key": key ?? `request-${requests++}` },
      ...(body && { body: JSON.stringify(body) }),
    });
    return {
      status: answer.status,
      body: (await answer.json()) as Record<string, unknown> & { detail?: string },
    };
  };
  const get = async (id: string) => (await ask("GET", `/assets/${id}`)).body as unknown as AssetView;
  const listed = async (query = "") =>
    ((await ask("GET", `/assets?limit=200${query}`)).body.items as unknown as AssetView[]).map(
      ({ hostname }) => hostname,
    );
  const custody = async () =>
    (await ask("GET", "/custody")).body as unknown as { records: AuditItem[]; head?: CustodyHeadItem };
  const isWhole = async () => {
    const { records, head } = await custody();
    const audit = await auditAuthority(
      { dynamo: table.dynamo, table: "t" },
      { tenantId: TENANT_ID, verifier, nowSeconds: state.nowMs / 1000 },
    );
    expect(await verifyCustody(records, head)).toBeUndefined();
    expect(audit).toMatchObject({ faults: [] });
    return records.map(({ action, assetId }) => [action, assetId]);
  };
  const send = async (request: Request) => app.app.request(request);
  return {
    ...app,
    table,
    hosts,
    ids: hosts.map(({ assetId }) => assetId),
    ask,
    get,
    listed,
    custody,
    isWhole,
    send,
  };
}
type World = Awaited<ReturnType<typeof makeWorld>>;

const isolated = (nowMs: number): NonNullable<Host["containment"]> => ({
  status: "ISOLATED",
  generation: 1,
  wish: {
    ...{ generation: 1, action: "isolate", mode: "network", directive: "a.b.c" },
    requestedAt: new Date(nowMs - DAY_MS).toISOString(),
    expiresAt: new Date(nowMs + DAY_MS).toISOString(),
  },
});
const finding = (engine: string) => ({
  ...{ rule: "exposed-engine", engine, engineName: engine, explanation: "It is open." },
  ...{ risk: "CRITICAL" as const, points: 80 },
});

/** Writes the items that a heartbeat of this host would write. */
async function report(world: World, index: number) {
  const key = [...world.table.items.keys()].find((name) => name.endsWith(`| PRESENCE#${world.ids[index]}`))!;
  world.table.items.get(key)!.lastSeenAt = { S: new Date(world.state.nowMs).toISOString() };
}

describe("expire", () => {
  test("takes a host off the active list until its next heartbeat, with a signature and a custody record", async () => {
    const world = await makeWorld((nowMs) => [
      { lastSeenAtMs: nowMs - 3000 },
      { lastSeenAtMs: nowMs - 3000 },
    ]);
    const [id] = world.ids;
    const done = await world.ask("POST", `/assets/${id}/expire`, because);
    expect(done.status).toBe(200);
    expect((await world.get(id!)).lifecycle).toMatchObject({ state: "expired", reason: "removed" });
    expect(await world.listed()).toEqual(["host-1"]);
    expect(await world.isWhole()).toEqual([["expire", id]]);
    const again = await world.ask("POST", `/assets/${id}/expire`, because);
    expect([again.status, again.body.detail]).toEqual([
      409,
      "the asset is already off the active list (removed)",
    ]);
    world.state.nowMs += 60_000;
    await report(world, 0);
    expect(await world.listed()).toEqual(["host-0", "host-1"]);
  });

  test("rejects a contained host, which stays on the active list", async () => {
    const world = await makeWorld((nowMs) => [{ containment: isolated(nowMs) }]);
    const done = await world.ask("POST", `/assets/${world.ids[0]}/expire`, because);
    expect([done.status, done.body.detail]).toEqual([
      409,
      "the asset is contained, so it stays on the active list: release it first",
    ]);
    expect(await world.listed()).toEqual(["host-0"]);
  });
});

describe("a release that no device signed", () => {
  test("prevents expiry and a merge of the host, although the table says that the release is proven", async () => {
    const forged = (nowMs: number): NonNullable<Host["containment"]> => {
      const { wish } = isolated(nowMs);
      const at = new Date(nowMs - 3000).toISOString();
      return {
        ...{ status: "ACTIVE", generation: 2, wish: { ...wish!, generation: 2, action: "release" } },
        proof: { generation: 2, action: "release", mode: "network", outcome: "applied", at },
      };
    };
    const world = await makeWorld((nowMs) => [{ containment: forged(nowMs) }, {}]);
    const [id, other] = world.ids;
    expect((await world.ask("POST", `/assets/${id}/expire`, because)).status).toBe(409);
    expect((await world.ask("POST", `/assets/${id}/merge`, { into: other, ...because })).status).toBe(409);
    for (const path of ["/assets/expire", "/assets/revoke"]) {
      const { body } = await world.ask("POST", path, { assetIds: [id], ...because });
      expect(body as unknown).toEqual({ changed: [], skipped: [{ assetId: id, reason: "contained" }] });
    }
    expect(await world.listed()).toEqual(["host-0"]);
  });
});

describe("revoke and expire in bulk", () => {
  test("change all permitted assets in one transaction, and name the others with the reason", async () => {
    const world = await makeWorld((nowMs) => [
      {},
      { containment: isolated(nowMs) },
      { lastSeenAtMs: nowMs - 3000 },
    ]);
    const [old, contained, present] = world.ids;
    const stranger = "01K00000000000000000000000";
    const assetIds = [old, contained, present, stranger];
    const { status, body } = await world.ask("POST", "/assets/revoke", {
      assetIds,
      ...because,
      silentHours: 24,
    });
    expect(status).toBe(200);
    expect(body as unknown).toEqual({
      changed: [old],
      skipped: [
        { assetId: contained, reason: "contained" },
        { assetId: present, reason: "reported" },
        { assetId: stranger, reason: "not-found" },
      ],
    });
    expect((await world.get(old!)).revokedAt).toBeString();
    expect((await world.get(present!)).revokedAt).toBeUndefined();
    expect(await world.isWhole()).toEqual([["revoke", old]]);
  });

  test("repeated change nothing, record nothing and say so", async () => {
    const world = await makeWorld(() => [{}, {}]);
    const body = { assetIds: world.ids, ...because };
    for (const path of ["/assets/expire", "/assets/revoke"]) {
      expect((await world.ask("POST", path, body)).body.changed as unknown).toEqual(world.ids);
      const again = await world.ask("POST", path, body);
      expect([again.status, again.body as unknown]).toEqual([
        200,
        { changed: [], skipped: world.ids.map((assetId) => ({ assetId, reason: "already" })) },
      ]);
    }
    expect(await world.isWhole()).toHaveLength(4);
  });

  test("with the same idempotency key are executed once", async () => {
    const world = await makeWorld(() => [{}]);
    const body = { assetIds: world.ids, ...because };
    const first = await world.ask("POST", "/assets/revoke", body, "bulk-key-1");
    const again = await world.ask("POST", "/assets/revoke", body, "bulk-key-1");
    expect(again.body).toEqual(first.body);
    expect(again.body.changed as unknown).toEqual(world.ids);
    expect(await world.isWhole()).toHaveLength(1);
  });

  test("accept up to the documented maximum in one transaction, and reject one asset more", async () => {
    const world = await makeWorld(() => Array.from({ length: BULK_ASSETS_MAX + 1 }, () => ({})));
    const many = world.ids.slice(0, BULK_ASSETS_MAX);
    const tooMany = await world.ask("POST", "/assets/revoke", { assetIds: world.ids, ...because });
    expect(tooMany.status).toBe(400);
    const done = await world.ask("POST", "/assets/revoke", { assetIds: many, ...because });
    expect(done.body.changed as unknown).toEqual(many);
    expect(await world.isWhole()).toHaveLength(BULK_ASSETS_MAX);
  });

  test("revoke a contained host only if the request says so", async () => {
    const world = await makeWorld((nowMs) => [{ containment: isolated(nowMs) }]);
    const body = { assetIds: world.ids, ...because };
    const asked = async (more: object) =>
      (await world.ask("POST", "/assets/revoke", { ...body, ...more })).body;
    expect((await asked({})).changed as unknown).toEqual([]);
    expect((await asked({ evenIfContained: true })).changed as unknown).toEqual(world.ids);
  });

  test("skip and name an asset that was edited in the table, and change the others", async () => {
    const world = await makeWorld(() => [{}, {}]);
    const [edited, whole] = world.ids;
    const key = [...world.table.items.keys()].find(
      (name) => name.endsWith(`| ASSET#${edited}`) && !name.includes("AUTHORITY"),
    )!;
    world.table.items.get(key)!.hostname = { S: "edited" };
    const { body } = await world.ask("POST", "/assets/expire", { assetIds: world.ids, ...because });
    expect(body as unknown).toEqual({
      changed: [whole],
      skipped: [{ assetId: edited, reason: "not-signed" }],
    });
  });

  test("require a reason and an administrator", async () => {
    const world = await makeWorld(() => [{}]);
    for (const path of ["/assets/revoke", "/assets/expire"]) {
      expect((await world.ask("POST", path, { assetIds: world.ids })).status).toBe(400);
      const asked = await world.ask(
        "POST",
        path,
        { assetIds: world.ids, ...because },
        undefined,
        "responder",
      );
      expect(asked.status).toBe(403);
    }
    for (const [verb, more] of [
      ["expire", {}],
      ["merge", { into: "01K00000000000000000000000" }],
    ] as const) {
      const body = { ...because, ...more };
      const path = `/assets/${world.ids[0]}/${verb}`;
      expect((await world.ask("POST", path, body, undefined, "responder")).status).toBe(403);
    }
  });
});

describe("merge", () => {
  const merge = (world: World, from: number, to: number, more: object = {}) =>
    world.ask("POST", `/assets/${world.ids[from]}/merge`, { into: world.ids[to], ...because, ...more });

  test("links both assets, revokes the old device, closes its incidents with the link, and records the change on each", async () => {
    const world = await makeWorld((nowMs) => [
      {
        states: [{ atMs: nowMs - 41 * DAY_MS, engines: [] }],
        findings: Array.from({ length: 34 }, (_, i) => ({
          finding: finding(`engine-${i}`),
          openedAtMs: nowMs - 41 * DAY_MS,
        })),
      },
      { lastSeenAtMs: nowMs - 3000 },
    ]);
    const [old, next] = world.ids;
    const { status, body } = await merge(world, 0, 1);
    expect(status).toBe(200);
    expect(body as unknown).toMatchObject({
      supersededBy: next,
      lifecycle: { state: "expired", reason: "superseded" },
    });
    expect((await world.get(old!)).revokedAt).toBeString();
    expect(await world.get(next!)).toMatchObject({ supersedes: [old], lifecycle: { state: "active" } });
    const incidents = (await world.ask("GET", `/assets/${old}/incidents?limit=200`)).body
      .items as unknown as IncidentView[];
    expect(incidents).toHaveLength(34);
    for (const one of incidents)
      expect(one).toMatchObject({ status: "RESOLVED", resolution: `the host was merged into asset ${next}` });
    expect((await world.ask("GET", "/incidents?lifecycle=all")).body.items as unknown).toEqual([]);
    const { records } = await world.custody();
    expect(records.filter(({ action }) => action === "merge")).toMatchObject([
      { action: "merge", assetId: old, target: next, before: "ACTIVE", after: "SUPERSEDED", ...because },
      { action: "merge", assetId: next, target: old, after: "SUPERSEDES", ...because },
    ]);
    expect(await world.isWhole()).toHaveLength(2 + 34);
  });

  test("rejects new sessions of the old device", async () => {
    const world = await makeWorld();
    const enrolled = async (hostname: string) => {
      const made = await world.ask("POST", "/enrolment-tokens", { uses: 1, hours: 1 });
      const device = await makeDevice();
      const who = { hostname, employeeId: "dana" };
      return {
        device,
        asset: await enrolDevice(world.send, EDGE_URL, made.body.token as unknown as string, device, who),
      };
    };
    const [before, after] = [await enrolled("desk"), await enrolled("desk")];
    expect((await openSession(world.send, EDGE_URL, before.device, before.asset)).keyid).toBeString();
    const done = await world.ask("POST", `/assets/${before.asset.assetId}/merge`, {
      ...{ into: after.asset.assetId, ...because },
    });
    expect(done.status).toBe(200);
    await expect(openSession(world.send, EDGE_URL, before.device, before.asset)).rejects.toThrow("403");
    expect((await openSession(world.send, EDGE_URL, after.device, after.asset)).keyid).toBeString();
    await world.isWhole();
  });

  test("is rejected with the reason, and writes nothing", async () => {
    const world = await makeWorld((nowMs) => [
      {},
      {},
      {},
      { containment: isolated(nowMs) },
      { lastSeenAtMs: nowMs - 9 * 60_000 },
      { tenantId: "org_other" },
      {},
    ]);
    expect((await merge(world, 0, 1)).status).toBe(200);
    expect((await world.ask("POST", `/assets/${world.ids[6]}/revoke`, because)).status).toBe(200);
    const refused = async (from: number, to: number, more?: object) => {
      const { status, body } = await merge(world, from, to, more);
      return [status, body.detail];
    };
    expect(await refused(2, 2)).toEqual([409, "an asset cannot be merged into itself"]);
    expect(await refused(0, 2)).toEqual([409, `the asset was already merged into ${world.ids[1]}`]);
    expect(await refused(0, 1)).toEqual([409, `the asset was already merged into ${world.ids[1]}`]);
    // Asset 0 was already merged into asset 1, so this merge would form a cycle.
    expect(await refused(1, 0)).toEqual([
      409,
      `the other asset was itself merged into ${world.ids[1]}: merge into that one`,
    ]);
    expect(await refused(2, 6)).toEqual([409, "the other asset is revoked, so it cannot replace this one"]);
    expect(await refused(3, 2)).toEqual([409, "the asset is contained: release it first"]);
    expect(await refused(4, 2)).toEqual([
      409,
      "the asset reported within the last 10 minutes, so it is in use: set evenIfActive to merge it anyway",
    ]);
    expect(await refused(2, 5)).toEqual([409, "the other asset does not exist: check the id in `into`"]);
    expect((await merge(world, 5, 2)).status).toBe(404);
    expect(await world.isWhole()).toHaveLength(3);
    expect((await merge(world, 4, 2, { evenIfActive: true })).status).toBe(200);
    expect((await merge(world, 6, 2)).status).toBe(200);
    expect((await world.get(world.ids[2]!)).supersedes).toEqual([world.ids[4]!, world.ids[6]!]);
    await world.isWhole();
  });

  test("that was interrupted before all incidents were closed is completed by the same request", async () => {
    const world = await makeWorld((nowMs) => [
      {
        states: [{ atMs: nowMs - 41 * DAY_MS, engines: [] }],
        findings: [{ finding: finding("ollama"), openedAtMs: nowMs - 41 * DAY_MS }],
      },
      {},
    ]);
    const { dynamo } = world.deps;
    let transactions = 0;
    world.deps.dynamo = (async (operation: never, input: never) => {
      if (operation === "TransactWriteItems" && ++transactions === 2) throw new Error("away");
      return dynamo(operation, input);
    }) as unknown as typeof dynamo;
    expect((await merge(world, 0, 1)).status).toBe(503);
    const open = async () =>
      (await world.ask("GET", "/incidents?lifecycle=all")).body.items as unknown as unknown[];
    expect(await open()).toHaveLength(1);
    expect((await merge(world, 0, 1)).status).toBe(200);
    expect(await open()).toEqual([]);
    await world.isWhole();
  });
});
