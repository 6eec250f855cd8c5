import { describe, expect, test } from "bun:test";
import { createFetch } from "../../../../edge/app.ts";
import { makeDevice, makeHeartbeat, signedRequest } from "../../../../lz/platform/simulated-agents.ts";
import { marshalItem } from "../../../../shared/table/dynamo.ts";
import { assetKey } from "../../../../shared/table/keys.ts";
import { signEnrolmentToken } from "../../../../shared/wire/enrolment-token.ts";
import { deviceKeyid } from "../../../../shared/wire/keyid.ts";
import { createMemoryDynamo } from "../../../support/dynamo/memory-dynamo.ts";
import { ASSET_ID, EDGE_URL, makeEdgeApp, TENANT_ID } from "../../../support/edge/edge-app.ts";

async function makeWorld() {
  const table = createMemoryDynamo();
  const { deps, state, openSession } = await makeEdgeApp({ dynamo: table.dynamo });
  const device = await makeDevice();
  const asset = {
    type: "Asset",
    tenantId: TENANT_ID,
    assetId: ASSET_ID,
    employeeId: "dana",
    hostname: "h",
    os: "Linux",
    arch: "x64",
    deviceKey: device.x,
    enrolledAt: "2026-11-21T00:00:00.000Z",
    status: "ACTIVE",
    generation: 0,
    custodyCount: 0,
  };
  const Item = marshalItem({ ...assetKey(TENANT_ID, ASSET_ID), ...asset });
  await table.dynamo("PutItem", { TableName: "t", Item });
  const edge = createFetch(deps);
  const newcomer = await makeDevice();
  const token = await signEnrolmentToken(
    deps.controlKey!,
    { tenant: TENANT_ID, jti: "01M807NRG7BVMVH9SM4YAEXFPA", uses: 1 },
    state.nowMs / 1000 + 3600,
  );
  const host = { hostname: "h", os: "Linux", arch: "x64", agentVersion: "0.1.0" };
  const heartbeat: object = makeHeartbeat(1, state.nowMs, "host");
  const routes = [
    { path: "/v1/heartbeats", signer: await openSession(), json: heartbeat, bytesMax: 256 * 1024 },
    {
      path: "/v1/session",
      signer: device.signer(deviceKeyid(TENANT_ID, ASSET_ID)),
      json: { agentVersion: "0.1.0" },
      bytesMax: 8192,
    },
    {
      path: "/v1/enroll",
      signer: newcomer.signer(newcomer.x),
      json: { token, deviceKey: newcomer.x, employeeId: "dana", host },
      bytesMax: 8192,
    },
  ];
  const requestOf = (path: string) => {
    const { signer, json } = routes.find((route) => route.path === path)!;
    return signedRequest(EDGE_URL, path, JSON.stringify(json), signer, state.nowMs / 1000);
  };
  return { table, state, edge, routes, requestOf };
}

describe("hostile bodies with a valid signature", () => {
  /** Creates valid JSON bodies in which one member is so large that the body has the maximum size. */
  const HOSTILE: Record<string, (json: object, bytes: number) => string> = {
    "a number of as many digits": (json, bytes) => withMember(json, "9".repeat(bytes)),
    "a fraction of as many digits": (json, bytes) => withMember(json, `0.${"1".repeat(bytes - 2)}`),
    "an exponent of as many digits": (json, bytes) => withMember(json, `1e${"9".repeat(bytes - 2)}`),
    "a list as wide": (json, bytes) => withMember(json, `[${"0,".repeat(bytes / 2 - 1)}0]`),
    "a list of lists as wide": (json, bytes) => withMember(json, `[${"[],".repeat(bytes / 3 - 1)}[]]`),
    "as many keys": (json, bytes) =>
      withMember(json, `0,${Array.from({ length: bytes / 12 }, (_, i) => `"k${i}":0`).join(",")}`),
    "the same key as often": (json, bytes) => withMember(json, `0${',"x":0'.repeat(bytes / 6)}`),
    "a member of the prototype": (json) => withMember(json, '0,"__proto__":{"a":1},"constructor":{"b":1}'),
    "a text as long": (json, bytes) => withMember(json, `"${"\\u0000".repeat(bytes / 6 - 1)}"`),
  };
  const withMember = (json: object, value: string) => `${JSON.stringify(json).slice(0, -1)},"x":${value}}`;

  for (const [what, make] of Object.entries(HOSTILE))
    test(`${what}: rejected by heartbeats, sessions and enrolments, both within and beyond the size limit`, async () => {
      const { edge, routes, state, table } = await makeWorld();
      const before = table.items.size;
      for (const { path, signer, json, bytesMax } of routes)
        for (const [bytes, statuses] of [
          [bytesMax - JSON.stringify(json).length - 64, [400]],
          [10_000_000, what === "a member of the prototype" ? [400] : [413]],
        ] as const) {
          const body = make(json, bytes);
          const request = await signedRequest(EDGE_URL, path, body, signer, state.nowMs / 1000);
          expect([path, (await edge(request)).status]).toEqual([path, ...statuses]);
        }
      expect([table.items.size, state.queued.length]).toEqual([before, 0]);
    });
});

describe("replayed requests", () => {
  test("an enrolment returns the same asset, uses the token once, and is rejected after its time window", async () => {
    const { edge, state, requestOf, table } = await makeWorld();
    const request = await requestOf("/v1/enroll");
    const first = await edge(request.clone());
    const { assetId } = (await first.json()) as { assetId: string };
    const size = table.items.size;
    state.nowMs += 300_000;
    const again = await edge(request.clone());
    expect([first.status, again.status, table.items.size]).toEqual([201, 201, size]);
    const answer = (await again.json()) as Record<string, unknown>;
    expect(answer.assetId).toBe(assetId);
    expect(answer).not.toHaveProperty("key");
    state.nowMs += 1000;
    expect((await edge(request)).status).toBe(401);
  });

  test("a session is opened for the same asset within its time window, and rejected afterwards", async () => {
    const { edge, state, requestOf } = await makeWorld();
    const request = await requestOf("/v1/session");
    for (const [laterMs, status] of [
      [0, 200],
      [300_000, 200],
      [1000, 401],
    ] as const) {
      state.nowMs += laterMs;
      const answer = await edge(request.clone());
      expect(answer.status).toBe(status);
      if (answer.ok) expect(((await answer.json()) as { keyid: string }).keyid).toContain(ASSET_ID);
    }
  });

  test("a session request that was recorded for one path is rejected at another", async () => {
    const { edge, requestOf } = await makeWorld();
    const request = await requestOf("/v1/session");
    for (const path of ["/v1/enroll", "/v1/heartbeats", "/v1/directive"]) {
      const moved = new Request(`${EDGE_URL}${path}`, {
        method: "POST",
        headers: request.headers,
        body: await request.clone().text(),
      });
      expect([400, 401, 404]).toContain((await edge(moved)).status);
    }
  });
});
