import { describe, expect, test } from "bun:test";
import { createSessionKeys } from "../../../../edge/heartbeat/session-key-cache.ts";
import { makeDevice, makeHeartbeat, signedRequest } from "../../../../lz/platform/simulated-agents.ts";
import { base64, utf8 } from "../../../../shared/encoding/bytes.ts";
import type { Dynamo } from "../../../../shared/table/dynamo.ts";
import { marshalItem } from "../../../../shared/table/dynamo.ts";
import { deviceKeyid } from "../../../../shared/wire/keyid.ts";
import type { Signer } from "../../../../shared/wire/signature.ts";
import { importHmacKey } from "../../../../shared/wire/signature.ts";
import { ASSET_ID, EDGE_URL, makeEdgeApp, TENANT_ID } from "../../../support/edge/edge-app.ts";

/** Creates a signed request with changed headers. The body stream counts how often it is read. */
async function streamed(path: string, body: string, signer: Signer, nowMs: number, more: object = {}) {
  const signed = await signedRequest(EDGE_URL, path, body, signer, nowMs / 1000);
  const state = { pulls: 0 };
  const stream = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        state.pulls++;
        controller.enqueue(utf8(body));
        controller.close();
      },
    },
    { highWaterMark: 0 },
  );
  const headers = { ...Object.fromEntries(signed.headers), ...more };
  const init = { method: "POST", headers, body: stream, duplex: "half" } as RequestInit;
  return { request: new Request(`${EDGE_URL}${path}`, init), state };
}

const FORGED = {
  hmac: { signature: `lz=:${base64(new Uint8Array(32))}:` },
  ed25519: { signature: `lz=:${base64(new Uint8Array(64))}:` },
};

describe("the body of a forged request is never read", () => {
  test("for a heartbeat", async () => {
    const { app, state, openSession } = await makeEdgeApp();
    const body = JSON.stringify(makeHeartbeat(1, state.nowMs, "host"));
    const signer = await openSession();
    for (const [more, status, pulls] of [
      [{}, 202, 1],
      [FORGED.hmac, 401, 0],
      [{ "content-digest": `sha-256=:${base64(new Uint8Array(32))}:` }, 401, 0],
    ] as const) {
      const sent = await streamed("/v1/heartbeats", body, signer, state.nowMs, more);
      expect([(await app.request(sent.request)).status, sent.state.pulls]).toEqual([status, pulls]);
    }
  });

  test("for a session and for an enrolment", async () => {
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
    const dynamo = (async (_: string, { Key }: { Key: { SK: { S: string } } }) =>
      Key.SK.S.startsWith("ASSET#") ? { Item: marshalItem(asset) } : {}) as unknown as Dynamo;
    const { app, state } = await makeEdgeApp({ dynamo });
    const session = device.signer(deviceKeyid(TENANT_ID, ASSET_ID));
    const enrolment = device.signer(device.x);
    for (const [path, body, signer, more, status, pulls] of [
      ["/v1/session", { agentVersion: "0.1.0" }, session, {}, 200, 1],
      ["/v1/session", { agentVersion: "0.1.0" }, session, FORGED.ed25519, 401, 0],
      ["/v1/session", { agentVersion: 1 }, session, {}, 400, 1],
      ["/v1/enroll", { token: "x" }, enrolment, {}, 400, 1],
      ["/v1/enroll", { token: "x" }, enrolment, FORGED.ed25519, 401, 0],
    ] as const) {
      const sent = await streamed(path, JSON.stringify(body), signer, state.nowMs, more);
      expect([path, (await app.request(sent.request)).status, sent.state.pulls]).toEqual([
        path,
        status,
        pulls,
      ]);
    }
  });
});

describe("traceparent", () => {
  test("enables tracing only for an authentic heartbeat", async () => {
    const started: (string | null)[] = [];
    const { app, state, openSession, deps } = await makeEdgeApp();
    deps.instruments = {
      ...deps.instruments,
      startIngest(traceparent) {
        started.push(traceparent);
        return { traceparent: undefined, end: () => {} };
      },
    };
    const body = JSON.stringify(makeHeartbeat(1, state.nowMs, "host"));
    const signer = await openSession();
    const traceparent = `00-${"a".repeat(32)}-${"b".repeat(16)}-01`;
    for (const more of [{ traceparent }, { traceparent, ...FORGED.hmac }, {}])
      await app.request((await streamed("/v1/heartbeats", body, signer, state.nowMs, more)).request);
    expect(started).toEqual([traceparent, null, null]);
  });
});

describe("createSessionKeys()", () => {
  test("forgets the least recently used key, not the oldest one", async () => {
    let derived = 0;
    const macKey = () => {
      derived++;
      return { verify: () => true };
    };
    const secret = {
      version: "v1",
      key: await importHmacKey(crypto.getRandomValues(new Uint8Array(32)), ["sign"]),
    };
    const keys = createSessionKeys([secret], { macKey }, 8);
    const keyids: string[] = [];
    for (let i = 0; i < 9; i++)
      keyids.push(
        (await keys.issue({ tenantId: TENANT_ID, assetId: ASSET_ID, expiresAtSeconds: 2_000_000_000 + i }))
          .keyid,
      );
    const use = async (keyid: string) => keys.keep(keyid, (await keys.find(keyid))!);
    for (const keyid of keyids.slice(0, 8)) await use(keyid);
    await use(keyids[0]!);
    await use(keyids[8]!); // evicts the second key from the cache
    derived = 0;
    await use(keyids[0]!);
    expect(derived).toBe(0);
    await use(keyids[1]!);
    expect(derived).toBe(1);
  });
});
