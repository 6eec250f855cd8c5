import { expect, test } from "bun:test";
import { enrolDevice, makeDevice, openSession } from "../../../../lz/platform/simulated-agents.ts";
import { auditAuthority } from "../../../../shared/authority/audit-authority.ts";
import { createAuthority } from "../../../../shared/authority/read-authority.ts";
import { signTable, unsignedItems } from "../../../../shared/authority/sign-table.ts";
import { createVerifier } from "../../../../shared/authority/verify-authority.ts";
import { type AttributeMap, marshalItem } from "../../../../shared/table/dynamo.ts";
import { authorityKey, tenantKey } from "../../../../shared/table/keys.ts";
import { verifyAgentSettings } from "../../../../shared/wire/agent-settings.ts";
import { makeSigningKey } from "../../../support/control/authority.ts";
import { createMemoryDynamo } from "../../../support/dynamo/memory-dynamo.ts";
import { makeAdminApp } from "../../../support/edge/admin-app.ts";
import { EDGE_URL, TENANT_ID } from "../../../support/edge/edge-app.ts";

/** Test setup: an admin node that enforces signatures, one host, and an attacker who can write any item. */
async function makeWorld() {
  const table = createMemoryDynamo();
  const app = await makeAdminApp({ dynamo: table.dynamo });
  const { deps, state } = app;
  state.nowMs = Date.now(); // the simulated device signs with the real time
  const verifier = createVerifier(deps.controlJwks);
  const needs = { dynamo: table.dynamo, table: "t", verifier };
  deps.authority = createAuthority({ ...needs, mode: "enforce", pause: async () => {}, log: deps.log });
  const token = await app.session();
  let requests = 0;
  const ask = async (method: string, path: string, body?: object, more: object = {}) => {
    const headers = {
      ...more,
      "content-type": "application/json",
      "idempotency-key": `request-${requests++}`,
    };
    const answer = await app.ask(`/v1${path}`, token, {
      method,
      headers,
      ...(body && { body: JSON.stringify(body) }),
    });
    expect(answer.ok).toBe(true);
    return { body: await answer.json(), etag: answer.headers.get("etag")! };
  };
  const change = async (more: object) => {
    const { body, etag } = await ask("GET", "/settings");
    const { version: _, ...settings } = body as { version: number };
    await ask("PUT", "/settings", { ...settings, ...more }, { "if-match": etag });
  };
  const send = async (request: Request) => app.app.request(request);
  const { token: enrolmentToken } = (await ask("POST", "/enrolment-tokens", { uses: 9, hours: 1 })).body as {
    token: string;
  };
  const enrol = async () => {
    const device = await makeDevice();
    const host = { hostname: "desk-1", employeeId: "dana" };
    return { device, answer: await enrolDevice(send, EDGE_URL, enrolmentToken, device, host) };
  };
  const record = () => {
    const { PK, SK } = authorityKey(TENANT_ID, tenantKey(TENANT_ID).SK);
    return (table.items as Map<string, AttributeMap>).get(`${PK} | ${SK}`)!;
  };
  const overwrite = (Item: AttributeMap) => table.dynamo("PutItem", { TableName: "t", Item });
  const audit = async () =>
    (await auditAuthority(needs, { tenantId: TENANT_ID, verifier, nowSeconds: state.nowMs / 1000 })).faults;
  return { ...app, ...needs, change, enrol, send, record, overwrite, audit };
}

test("agents of a tenant that no admin has configured get the defaults, unsigned", async () => {
  const world = await makeWorld();
  const { answer } = await world.enrol();
  expect(answer.settings).toEqual({ heartbeatIntervalMs: 5000, clientDirectories: false });
  expect(answer).not.toHaveProperty("signedSettings");
});

test("a change of settings signs the settings for agents, and each response contains them", async () => {
  const world = await makeWorld();
  await world.change({ heartbeatIntervalMs: 7000, clientDirectories: true });
  const { device, answer } = await world.enrol();
  const session = await openSession(world.send, EDGE_URL, device, answer);
  for (const { settings, signedSettings } of [answer, session]) {
    expect(settings).toEqual({ heartbeatIntervalMs: 7000, clientDirectories: true });
    expect(await verifyAgentSettings(signedSettings!, answer.jwks, TENANT_ID)).toMatchObject(settings);
  }
  const versionOf = async (signed: string) =>
    (await verifyAgentSettings(signed, answer.jwks, TENANT_ID)).version;
  const first = await versionOf(answer.signedSettings!);
  await world.change({ clientDirectories: false });
  const { answer: later } = await world.enrol();
  expect(await versionOf(later.signedSettings!)).toBeGreaterThan(first);
  expect(await world.audit()).toEqual([]);
});

test("signed settings that were removed or replaced by older ones are a fault, until the table is signed again", async () => {
  const world = await makeWorld();
  await world.change({ clientDirectories: true });
  const old = world.record();
  await world.change({ clientDirectories: false });
  const { agentSettings: _, ...bare } = world.record();
  for (const item of [
    bare,
    { ...bare, agentSettings: old.agentSettings! },
    { ...bare, ...marshalItem({ agentSettings: "a.b.c" }) },
  ]) {
    await world.overwrite(item);
    expect(await world.audit()).toEqual([{ item: "METADATA", code: "agentSettings" }]);
    const found = [];
    for await (const { reason } of unsignedItems(world, TENANT_ID, world.verifier)) found.push(reason);
    expect(found).toEqual(["agentSettings"]);
    const nowMs = world.state.nowMs + 1000;
    const control = world.deps.controlKey!;
    const { verifier } = world;
    await signTable(world, { tenantId: TENANT_ID, version: 3, nowMs, control, verifier });
    expect(await world.audit()).toEqual([]);
  }
});

test("after a rotation, the settings in the table are signed again with the new key", async () => {
  const world = await makeWorld();
  await world.change({ clientDirectories: true });
  const next = await makeSigningKey("control-2");
  const verifier = createVerifier({ keys: [...world.deps.controlJwks.keys, ...next.jwks.keys] });
  const nowMs = world.state.nowMs + 1000;
  await signTable(world, { tenantId: TENANT_ID, version: 2, nowMs, control: next.key, verifier });
  const signed = world.record().agentSettings!.S!;
  expect(await verifyAgentSettings(signed, next.jwks, TENANT_ID)).toMatchObject({
    ...{ version: nowMs, clientDirectories: true },
  });
  await expect(verifyAgentSettings(signed, world.deps.controlJwks, TENANT_ID)).rejects.toThrow();
});

test("if the clock was set back, a change and a signing of the table still increase the version", async () => {
  const world = await makeWorld();
  const versionNow = async () => {
    const signed = world.record().agentSettings!.S!;
    return (await verifyAgentSettings(signed, world.deps.controlJwks, TENANT_ID)).version;
  };
  await world.change({ clientDirectories: true });
  const first = await versionNow();
  const next = await makeSigningKey("control-2");
  world.deps.controlJwks.keys.push(...next.jwks.keys);
  const verifier = createVerifier(world.deps.controlJwks);
  const nowMs = first - 3_600_000;
  await signTable(world, { tenantId: TENANT_ID, version: 2, nowMs, control: next.key, verifier });
  expect(await versionNow()).toBe(first + 1);
  const ahead = first + 3_600_000;
  await signTable(world, {
    tenantId: TENANT_ID,
    version: 2,
    nowMs: ahead,
    control: world.deps.controlKey!,
    verifier,
  });
  expect(await versionNow()).toBe(ahead);
  await world.change({ clientDirectories: false });
  expect(await versionNow()).toBe(ahead + 1);
});
