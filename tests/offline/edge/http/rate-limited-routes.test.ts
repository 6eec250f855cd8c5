import { describe, expect, test } from "bun:test";
import { importJWK } from "jose";
import { createRateLimit } from "../../../../edge/http/rate-limit.ts";
import { makeDevice, makeHeartbeat, signedRequest } from "../../../../lz/platform/simulated-agents.ts";
import { marshalItem } from "../../../../shared/table/dynamo.ts";
import { assetKey } from "../../../../shared/table/keys.ts";
import { signEnrolmentToken } from "../../../../shared/wire/enrolment-token.ts";
import { deviceKeyid } from "../../../../shared/wire/keyid.ts";
import { createMemoryDynamo } from "../../../support/dynamo/memory-dynamo.ts";
import { ASSET_ID, EDGE_URL, makeEdgeApp, TENANT_ID } from "../../../support/edge/edge-app.ts";

const OTHER_ID = "01M807NRG7BVMVH9SM4YAEXFPH";
const limitOf = (name: string, quota: number, clock: () => number) =>
  createRateLimit({ name, quota, windowSeconds: 60 }, clock);

/** Test setup: an edge with two assets in its table, and a device for each asset. */
async function makeWorld() {
  const table = createMemoryDynamo();
  const world = await makeEdgeApp({ dynamo: table.dynamo });
  const { app, state } = world;
  const devices = new Map([
    [ASSET_ID, await makeDevice()],
    [OTHER_ID, await makeDevice()],
  ]);
  for (const [assetId, { x }] of devices) {
    const asset = {
      type: "Asset",
      tenantId: TENANT_ID,
      assetId,
      employeeId: "dana",
      hostname: "h",
      os: "Linux",
      arch: "x64",
      deviceKey: x,
      enrolledAt: "2026-11-21T00:00:00.000Z",
      status: "ACTIVE",
      generation: 0,
      custodyCount: 0,
    };
    const Item = marshalItem({ ...assetKey(TENANT_ID, assetId), ...asset });
    await table.dynamo("PutItem", { TableName: "t", Item });
  }
  const session = async (assetId: string, signedBy = assetId) => {
    const signer = devices.get(signedBy)!.signer(deviceKeyid(TENANT_ID, assetId));
    const body = JSON.stringify({ agentVersion: "0.1.0" });
    return app.request(await signedRequest(EDGE_URL, "/v1/session", body, signer, state.nowMs / 1000));
  };
  return { ...world, session };
}

describe("limits", () => {
  test("the sessions of an asset are limited, other assets are not affected, and forged requests do not count", async () => {
    const { session, deps, state } = await makeWorld();
    deps.limits.session = limitOf("session", 2, deps.clock);
    for (let i = 0; i < 3; i++) expect((await session(ASSET_ID, OTHER_ID)).status).toBe(401);
    const answers = [await session(ASSET_ID), await session(ASSET_ID), await session(ASSET_ID)];
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 429]);
    expect(answers[2]!.headers.get("retry-after")).toBe("30");
    expect((await session(OTHER_ID)).status).toBe(200);
    state.nowMs += 30_000;
    expect((await session(ASSET_ID)).status).toBe(200);
  });

  test("any number of hosts with the same address can open sessions, and only rejected requests are counted", async () => {
    const { session, deps } = await makeWorld();
    deps.limits.address = limitOf("address", 2, deps.clock);
    for (let i = 0; i < 10; i++) expect((await session(ASSET_ID)).status).toBe(200);
    const forged = [];
    for (let i = 0; i < 3; i++) forged.push((await session(ASSET_ID, OTHER_ID)).status);
    expect(forged).toEqual([401, 401, 429]);
    expect((await session(ASSET_ID)).status).toBe(429);
  });

  test("hosts of one IPv6 network share the quota of rejected requests", async () => {
    const { session, deps } = await makeWorld();
    deps.limits.address = limitOf("address", 2, deps.clock);
    let host = 0;
    deps.sourceIp = () => `2001:db8:0:1::${++host}`;
    for (const status of [401, 401, 429]) expect((await session(ASSET_ID, OTHER_ID)).status).toBe(status);
    deps.sourceIp = () => "2001:db8:0:2::1";
    expect((await session(ASSET_ID, OTHER_ID)).status).toBe(401);
  });

  test("a token can enrol only a limited number of hosts per minute, and other tokens are not affected", async () => {
    const { app, state, deps, secrets } = await makeWorld();
    deps.limits.enrolment = limitOf("enrolment", 2, deps.clock);
    const control = { kid: "control-1", key: (await importJWK(secrets.controlKey, "EdDSA")) as CryptoKey };
    const enrol = async (jti: string) => {
      const device = await makeDevice();
      const nowSeconds = state.nowMs / 1000;
      const claims = { tenant: TENANT_ID, jti, uses: 100 };
      const token = await signEnrolmentToken(control, claims, nowSeconds + 600);
      const host = { hostname: "h", os: "Linux", arch: "x64", agentVersion: "0.1.0" };
      const body = JSON.stringify({ token, deviceKey: device.x, employeeId: "dana", host });
      const signer = device.signer(device.x);
      return (await app.request(await signedRequest(EDGE_URL, "/v1/enroll", body, signer, nowSeconds)))
        .status;
    };
    const [one, other] = ["01M807NRG7BVMVH9SM4YAEXFPA", "01M807NRG7BVMVH9SM4YAEXFPB"] as const;
    expect([await enrol(one), await enrol(one), await enrol(one)]).toEqual([201, 201, 429]);
    expect(await enrol(other)).toBe(201);
  });

  test("a tenant that exceeds its quota is told when to retry, and others are not affected", async () => {
    const { app, state, deps, openSession } = await makeWorld();
    deps.limits.tenant = limitOf("tenant", 2, deps.clock);
    const beat = async (assetId: string, tenantId: string) => {
      const body = JSON.stringify(makeHeartbeat(1, state.nowMs, "host"));
      const signer = await openSession(assetId, tenantId);
      return app.request(await signedRequest(EDGE_URL, "/v1/heartbeats", body, signer, state.nowMs / 1000));
    };
    expect((await beat(ASSET_ID, TENANT_ID)).status).toBe(202);
    expect((await beat(OTHER_ID, TENANT_ID)).status).toBe(202);
    const third = await beat(ASSET_ID, TENANT_ID);
    expect([third.status, third.headers.get("ratelimit-policy")]).toEqual([429, '"tenant";q=2;w=60']);
    expect((await beat(ASSET_ID, "org_b")).status).toBe(202);
  });
});
