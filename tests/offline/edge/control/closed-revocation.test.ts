import { expect, test } from "bun:test";
import type { AssetView } from "../../../../edge/control/assets/asset-view.ts";
import { createPendingActions } from "../../../../edge/heartbeat/pending-actions.ts";
import {
  enrolDevice,
  makeDevice,
  makeHeartbeat,
  openSession,
  sessionSigner,
  signedRequest,
} from "../../../../lz/platform/simulated-agents.ts";
import { auditAuthority } from "../../../../shared/authority/audit-authority.ts";
import { createAuthority } from "../../../../shared/authority/read-authority.ts";
import { createVerifier } from "../../../../shared/authority/verify-authority.ts";
import { assetKey } from "../../../../shared/table/keys.ts";
import { closeRevoked, REVOKED_OPEN_MS } from "../../../../worker/fleet/close-revoked.ts";
import { makeSigningKey } from "../../../support/control/authority.ts";
import { createMemoryDynamo } from "../../../support/dynamo/memory-dynamo.ts";
import { makeAdminApp } from "../../../support/edge/admin-app.ts";
import { EDGE_URL, TENANT_ID } from "../../../support/edge/edge-app.ts";

const because = { justification: "returned to the lender" };

/** Test setup: an admin node that enforces signatures, and one enrolled host. */
async function makeWorld() {
  const table = createMemoryDynamo();
  const enrol = await makeSigningKey("enrol-1");
  const app = await makeAdminApp({ dynamo: table.dynamo, enrolKey: enrol.key });
  const { deps, state } = app;
  state.nowMs = Date.now(); // the simulated device signs with the real time
  const verifier = createVerifier(deps.controlJwks, enrol.jwks);
  const needs = { dynamo: table.dynamo, table: "t", log: deps.log };
  deps.authority = createAuthority({ ...needs, verifier, mode: "enforce", pause: async () => {} });
  deps.pendingActions = createPendingActions({
    ...{ ...needs, authority: deps.authority, clock: deps.clock },
    ...{ instruments: { actionSetAge: () => {} }, shared: true, after: () => {} },
  });
  let requests = 0;
  const ask = async (method: string, path: string, body?: object) => {
    const answer = await app.ask(`/v1${path}`, await app.session(), {
      method,
      headers: { "content-type": "application/json", "idempotency-key": `request-${requests++}` },
      ...(body && { body: JSON.stringify(body) }),
    });
    return { status: answer.status, body: (await answer.json()) as Record<string, unknown> };
  };
  const send = async (request: Request) => app.app.request(request);
  const device = await makeDevice();
  const made = (await ask("POST", "/enrolment-tokens", { uses: 1, hours: 1 })).body;
  const host = { hostname: "h", employeeId: "dana" };
  const who = await enrolDevice(send, EDGE_URL, made.token as string, device, host);
  const signer = await sessionSigner(await openSession(send, EDGE_URL, device, who));
  let sequence = 0;
  const beat = async () => {
    const body = JSON.stringify(makeHeartbeat(++sequence, state.nowMs, "h"));
    const now = Math.floor(state.nowMs / 1000);
    const answer = await send(await signedRequest(EDGE_URL, "/v1/heartbeats", body, signer, now));
    return [answer.status, ((await answer.json()) as { code?: string }).code];
  };
  const { PK, SK } = assetKey(TENANT_ID, who.assetId);
  return {
    ...{ ask, beat, state },
    path: `/assets/${who.assetId}`,
    session: () => openSession(send, EDGE_URL, device, who),
    isOpen: () => table.items.get(`${PK} | ${SK}`)!.GSI2PK !== undefined,
    close: () => closeRevoked(TENANT_ID, { ...needs, clock: deps.clock, authority: deps.authority }),
    listed: async (query = "") =>
      ((await ask("GET", `/assets${query}`)).body.items as AssetView[]).map(({ revokedAt }) => revokedAt),
    isolations: async () => ((await ask("GET", "/isolations")).body.items as AssetView[]).length,
    faults: async () =>
      (await auditAuthority(needs, { tenantId: TENANT_ID, verifier, nowSeconds: state.nowMs / 1000 })).faults,
  };
}

test("a revoked host is rejected before and after it left the index of open actions", async () => {
  const world = await makeWorld();
  expect(await world.beat()).toEqual([202, undefined]);
  expect((await world.ask("POST", `${world.path}/revoke`, because)).status).toBe(200);
  const startMs = world.state.nowMs;
  expect(await world.beat()).toEqual([403, "asset.revoked"]);
  expect([await world.close(), world.isOpen()]).toEqual([0, true]);

  // Just before the session expires, the index must still reject the host.
  world.state.nowMs = startMs + 3595_000;
  expect(await world.beat()).toEqual([403, "asset.revoked"]);
  expect([await world.close(), world.isOpen()]).toEqual([0, true]);

  world.state.nowMs = startMs + REVOKED_OPEN_MS + 1;
  expect([await world.close(), world.isOpen()]).toEqual([1, false]);
  expect(await world.beat()).toEqual([401, "wire.session-expired"]);
  // Set the clock back, because the simulated device signs with the real time.
  world.state.nowMs = startMs;
  await expect(world.session()).rejects.toThrow("asset.revoked");
});

test("a revoked host that left the index still appears revoked to administrators, with a valid signature", async () => {
  const world = await makeWorld();
  await world.ask("POST", `${world.path}/revoke`, because);
  const revokedAt = (await world.ask("GET", world.path)).body.revokedAt as string;
  expect(revokedAt).toBeString();
  world.state.nowMs += REVOKED_OPEN_MS + 1;
  expect(await world.close()).toBe(1);

  expect((await world.ask("GET", world.path)).body).toMatchObject({
    ...{ revokedAt, status: "ACTIVE" },
    containment: { state: "active" },
  });
  expect(await world.listed()).toEqual([revokedAt]);
  expect(await world.listed("?state=active")).toEqual([revokedAt]);
  expect(await world.listed("?status=ISOLATED")).toEqual([]);
  expect(await world.isolations()).toBe(0);
  expect(await world.faults()).toEqual([]);
  for (const change of ["revoke", "isolate"]) {
    const refused = await world.ask("POST", `${world.path}/${change}`, {
      ...because,
      ...(change === "isolate" && { mode: "observe" }),
    });
    expect([change, refused.status, refused.body.detail]).toEqual([
      change,
      409,
      expect.stringContaining("revoked"),
    ]);
  }
  expect(world.isOpen()).toBe(false);
});

test("a host that was revoked while it was isolated stays in the index, and in the list of isolations", async () => {
  const world = await makeWorld();
  await world.ask("POST", `${world.path}/isolate`, { ...because, mode: "network" });
  await world.ask("POST", `${world.path}/revoke`, because);
  world.state.nowMs += 2 * REVOKED_OPEN_MS;
  expect([await world.close(), world.isOpen()]).toEqual([0, true]);
  expect(await world.isolations()).toBe(1);
});
