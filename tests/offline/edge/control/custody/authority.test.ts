import { describe, expect, test } from "bun:test";
import { formatApiKey, secretHash } from "../../../../../edge/auth/authenticate-api-key.ts";
import { createPendingActions } from "../../../../../edge/heartbeat/pending-actions.ts";
import { enrolDevice, makeDevice, openSession } from "../../../../../lz/platform/simulated-agents.ts";
import { auditAuthority } from "../../../../../shared/authority/audit-authority.ts";
import { createAuthority } from "../../../../../shared/authority/read-authority.ts";
import { createVerifier } from "../../../../../shared/authority/verify-authority.ts";
import { type AttributeMap, marshalItem } from "../../../../../shared/table/dynamo.ts";
import {
  apiKeyKey,
  assetKey,
  authorityKey,
  deviceRecordKey,
  type Key,
  tenantKey,
} from "../../../../../shared/table/keys.ts";
import { makeSigningKey } from "../../../../support/control/authority.ts";
import { createMemoryDynamo } from "../../../../support/dynamo/memory-dynamo.ts";
import { makeAdminApp } from "../../../../support/edge/admin-app.ts";
import { EDGE_URL, TENANT_ID } from "../../../../support/edge/edge-app.ts";

/** Test setup: an admin node that enforces signatures, and an attacker who can write any item. */
async function makeWorld() {
  const table = createMemoryDynamo();
  const enrol = await makeSigningKey("enrol-1");
  const app = await makeAdminApp({ dynamo: table.dynamo, enrolKey: enrol.key });
  const { deps, state } = app;
  state.nowMs = Date.now(); // the simulated devices sign with the real time
  const verifier = createVerifier(deps.controlJwks, enrol.jwks);
  deps.authority = createAuthority({
    dynamo: table.dynamo,
    table: "t",
    verifier,
    mode: "enforce",
    pause: async () => {},
    log: deps.log,
  });
  deps.pendingActions = createPendingActions({
    dynamo: table.dynamo,
    table: "t",
    authority: deps.authority,
    clock: deps.clock,
    log: deps.log,
    instruments: { actionSetAge: () => {} },
    shared: true,
    after: () => {},
  });
  const token = await app.session();
  let requests = 0;
  const ask = async (method: string, path: string, body?: object, headers: Record<string, string> = {}) => {
    const answer = await app.ask(
      `/v1${path}`,
      headers.authorization ? headers.authorization.slice(7) : token,
      {
        method,
        headers: {
          "content-type": "application/json",
          "idempotency-key": `request-${requests++}`,
          ...headers,
        },
        ...(body && { body: JSON.stringify(body) }),
      },
    );
    const text = await answer.text();
    return {
      status: answer.status,
      body: (text === "" ? {} : JSON.parse(text)) as Record<string, unknown>,
      headers: answer.headers,
    };
  };
  const items = table.items as Map<string, AttributeMap>;
  const nameOf = ({ PK, SK }: Key) => `${PK} | ${SK}`;
  const get = (key: Key) => structuredClone(items.get(nameOf(key))!);
  /** Writes an item as the attacker does, without a condition and without a signature. */
  const overwrite = (item: AttributeMap) => table.dynamo("PutItem", { TableName: "t", Item: item });
  const edit = (key: Key, members: object) => overwrite({ ...get(key), ...marshalItem(members) });
  const refusals = () =>
    state.logged
      .map((line) => JSON.parse(line))
      .filter(({ event }) => event === "security.authority-refused");
  const audit = () =>
    auditAuthority(
      { dynamo: table.dynamo, table: "t" },
      { tenantId: TENANT_ID, verifier, nowSeconds: state.nowMs / 1000 },
    );
  const send = async (request: Request) => app.app.request(request);
  const enrolled = async () => {
    const made = await ask("POST", "/enrolment-tokens", { uses: 5, hours: 1 });
    const device = await makeDevice();
    const asset = await enrolDevice(send, EDGE_URL, made.body.token as unknown as string, device, {
      hostname: "desk-1",
      employeeId: "dana",
    });
    return { device, asset, token: made.body.token as unknown as string };
  };
  return { ...app, table, enrol, ask, get, overwrite, edit, refusals, audit, send, enrolled, verifier };
}
type World = Awaited<ReturnType<typeof makeWorld>>;

const KEY_TERMS = { name: "robot", role: "viewer", days: 30 };
const because = { justification: "the laptop was stolen" };

async function makeKey(world: World) {
  const { body } = await world.ask("POST", "/api-keys", KEY_TERMS);
  const { apiKey, key } = body as { apiKey: { keyId: string }; key: string };
  const { keyId } = apiKey;
  return {
    keyId,
    item: apiKeyKey(TENANT_ID, keyId),
    me: () => world.ask("GET", "/me", undefined, { authorization: `Bearer ${key}` }),
  };
}

describe("an API key", () => {
  test("created by an admin works", async () => {
    const world = await makeWorld();
    const { me } = await makeKey(world);
    expect((await me()).status).toBe(200);
    expect(world.refusals()).toEqual([]);
  });
  test("that was only written to the table is rejected, and the rejection is a security event", async () => {
    const world = await makeWorld();
    const { keyId, item } = await makeKey(world);
    const secret = "A".repeat(43);
    const id = `${keyId.slice(0, -1)}${keyId.endsWith("0") ? "1" : "0"}`;
    await world.overwrite({
      ...world.get(item),
      ...marshalItem({
        ...apiKeyKey(TENANT_ID, id),
        keyId: id,
        role: "admin",
        secretHash: await secretHash(secret),
      }),
    });
    const answer = await world.ask("GET", "/me", undefined, {
      authorization: `Bearer ${formatApiKey(TENANT_ID, id, secret)}`,
    });
    expect(answer.status).toBe(401);
    expect(world.refusals()).toMatchObject([
      { level: "error", tenantId: TENANT_ID, item: `APIKEY#${id}`, reason: "unsigned" },
    ]);
  });
  test("whose role was raised in the table is rejected", async () => {
    const world = await makeWorld();
    const { item, me } = await makeKey(world);
    await world.edit(item, { role: "admin" });
    expect((await me()).status).toBe(401);
  });
  test("that was revoked stays rejected if its item is restored", async () => {
    const world = await makeWorld();
    const { keyId, item, me } = await makeKey(world);
    const before = world.get(item);
    expect((await world.ask("POST", `/api-keys/${keyId}/revoke`, because)).status).toBe(200);
    await world.overwrite(before);
    expect((await me()).status).toBe(401);
    expect(world.refusals().at(-1)).toMatchObject({ reason: "mismatch" });
  });
  test("that was revoked is detected if its item and its authority record are restored", async () => {
    const world = await makeWorld();
    const { keyId, item } = await makeKey(world);
    const record = authorityKey(TENANT_ID, `APIKEY#${keyId}`);
    const before = [world.get(item), world.get(record)];
    await world.ask("POST", `/api-keys/${keyId}/revoke`, because);
    expect((await world.audit()).faults).toEqual([]);
    for (const stored of before) await world.overwrite(stored);
    expect((await world.audit()).faults).toEqual([{ item: "HEAD", code: "count" }]);
  });
});

describe("a tenant's settings", () => {
  const change = async (world: World) => {
    const read = await world.ask("GET", "/settings");
    const etag = read.headers.get("etag")!;
    const { version: _version, ...settings } = read.body as Record<string, unknown>;
    return world.ask("PUT", "/settings", { ...settings, fourEyes: true }, { "if-match": etag });
  };
  test("that an admin has changed are valid", async () => {
    const world = await makeWorld();
    expect((await change(world)).status).toBe(200);
    expect((await world.ask("GET", "/settings")).body).toMatchObject({ fourEyes: true });
  });
  test("that were edited in the table lead to 503, and are not replaced by the defaults", async () => {
    const world = await makeWorld();
    await change(world);
    await world.edit(tenantKey(TENANT_ID), { fourEyes: false });
    expect((await world.ask("GET", "/settings")).status).toBe(503);
    expect(world.refusals().at(-1)).toMatchObject({ item: "METADATA", reason: "mismatch" });
  });
  test("that no admin has configured cannot be forged", async () => {
    const world = await makeWorld();
    await world.overwrite(
      marshalItem({ ...tenantKey(TENANT_ID), type: "Tenant", tenantId: TENANT_ID, name: "x", policy: {} }),
    );
    expect((await world.ask("GET", "/policy")).status).toBe(503);
  });
  test("that were edited do not get a signature with an admin's next change", async () => {
    const world = await makeWorld();
    await change(world);
    await world.edit(tenantKey(TENANT_ID), { isolationsPerHourMax: 9 });
    const made = await world.ask("POST", "/webhooks", { url: "https://siem.example.com/hook", events: [] });
    expect(made.status).toBe(503);
    expect(await world.audit()).toMatchObject({ faults: [{ item: "METADATA", code: "mismatch" }] });
  });
});

describe("a device", () => {
  test("enrols with a record of the enrol key and opens a session", async () => {
    const world = await makeWorld();
    const { device, asset } = await world.enrolled();
    expect(world.get(deviceRecordKey(TENANT_ID, asset.assetId))).toBeDefined();
    await openSession(world.send, EDGE_URL, device, asset);
    expect((await world.audit()).faults).toEqual([]);
  });
  test("whose key was replaced in the table opens no session, either with the old key or with the new one", async () => {
    const world = await makeWorld();
    const { device, asset } = await world.enrolled();
    const thief = await makeDevice();
    await world.edit(assetKey(TENANT_ID, asset.assetId), { deviceKey: thief.x });
    for (const with_ of [device, thief])
      await expect(openSession(world.send, EDGE_URL, with_, asset)).rejects.toThrow();
  });
  test("that was revoked opens no session if its item is restored", async () => {
    const world = await makeWorld();
    const { device, asset } = await world.enrolled();
    const key = assetKey(TENANT_ID, asset.assetId);
    const before = world.get(key);
    expect((await world.ask("POST", `/assets/${asset.assetId}/revoke`, because)).status).toBe(200);
    await world.overwrite(before);
    await expect(openSession(world.send, EDGE_URL, device, asset)).rejects.toThrow();
  });
  test("gets another key only from an admin node", async () => {
    const world = await makeWorld();
    const { asset } = await world.enrolled();
    const made = await world.ask("POST", `/assets/${asset.assetId}/rotate-key`, { ...because, hours: 1 });
    const token = made.body.token as unknown as string;
    const next = await makeDevice();
    const ask = () =>
      enrolDevice(world.send, EDGE_URL, token, next, { hostname: "desk-1", employeeId: "dana" });
    const { controlKey } = world.deps;
    delete world.deps.controlKey;
    await expect(ask()).rejects.toThrow("403");
    world.deps.controlKey = controlKey!;
    expect((await ask()).assetId).toBe(asset.assetId);
    await openSession(world.send, EDGE_URL, next, asset);
    expect((await world.audit()).faults).toEqual([]);
  });
});

describe("containment", () => {
  const isolate = (world: World, assetId: string) =>
    world.ask("POST", `/assets/${assetId}/isolate`, { ...because, mode: "network" });
  test("that an admin requested is signed, and an incident's entry on the asset needs no new signature", async () => {
    const world = await makeWorld();
    const { asset } = await world.enrolled();
    expect((await isolate(world, asset.assetId)).status).toBe(202);
    expect([...(await world.deps.pendingActions.of(TENANT_ID)).keys()]).toEqual([asset.assetId]);
    expect(await world.audit()).toMatchObject({ faults: [] });
  });
  test("that was only written to the table reaches no agent", async () => {
    const world = await makeWorld();
    const { asset } = await world.enrolled();
    const revokedAt = "2026-11-23T00:00:00.000Z";
    await world.edit(assetKey(TENANT_ID, asset.assetId), {
      revokedAt,
      GSI2PK: `TENANT#${TENANT_ID}#ACTION_REQ`,
      GSI2SK: `${revokedAt}#${asset.assetId}`,
    });
    world.deps.pendingActions.forget(TENANT_ID);
    expect((await world.deps.pendingActions.of(TENANT_ID)).size).toBe(0);
    expect(world.refusals().at(-1)).toMatchObject({ item: `ASSET#${asset.assetId}`, reason: "notNew" });
  });
  test("that was reverted in the table is rejected by the next change, and detected by the audit", async () => {
    const world = await makeWorld();
    const { asset } = await world.enrolled();
    const key = assetKey(TENANT_ID, asset.assetId);
    const before = world.get(key);
    await isolate(world, asset.assetId);
    await world.overwrite(before);
    expect((await isolate(world, asset.assetId)).status).toBe(503);
    expect((await world.audit()).faults).toEqual([{ item: `ASSET#${asset.assetId}`, code: "mismatch" }]);
  });
});
