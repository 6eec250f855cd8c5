import { describe, expect, test } from "bun:test";
import { makeHeartbeat, signedRequest } from "../../../../lz/platform/simulated-agents.ts";
import { base64 } from "../../../../shared/encoding/bytes.ts";
import { makeForgeries } from "../../../support/control/forgeries.ts";
import { ASSET_ID, EDGE_URL, makeEdgeApp } from "../../../support/edge/edge-app.ts";

const ROUNDS = 100_000;

describe("100,000 forged requests", () => {
  test("none is accepted, none causes a fault, and none writes a secret to the log", async () => {
    const { state, good, round, secrets } = await makeForgeries(20261121);
    expect(await good()).toEqual([202, 200, 201, 200]);
    const answers = new Map<string, Map<number, number>>();
    for (let number = 0; number < ROUNDS; number++) {
      const { name, status, forged } = await round(number);
      if (status < 400 || status >= 500)
        throw new Error(`round ${number}, ${name}: ${status} for ${JSON.stringify(forged)}`);
      const counts = answers.get(name) ?? new Map<number, number>();
      answers.set(name, counts.set(status, (counts.get(status) ?? 0) + 1));
    }
    expect(state.queued).toHaveLength(1);
    for (const secret of secrets) expect(state.logged.some((line) => line.includes(secret))).toBe(false);
    for (const [name, counts] of answers) {
      console.log(`${name}: ${[...counts].map(([status, count]) => `${count} × ${status}`).join(", ")}`);
    }
  }, 240_000);

  test("a repeated heartbeat is accepted as an exact copy of the same heartbeat", async () => {
    const { app, state, openSession } = await makeEdgeApp();
    const signer = await openSession();
    const body = JSON.stringify(makeHeartbeat(1, state.nowMs, "host"));
    for (let i = 0; i < 2; i++) {
      const request = await signedRequest(EDGE_URL, "/v1/heartbeats", body, signer, state.nowMs / 1000);
      expect((await app.request(request)).status).toBe(202);
    }
    expect(state.queued[0]!.body).toBe(state.queued[1]!.body);
  });
});

describe("quotas", () => {
  test("a device that exceeds its quota is told when to retry, and others are not affected", async () => {
    const { createRateLimit } = await import("../../../../edge/http/rate-limit.ts");
    const { app, state, openSession, deps } = await makeEdgeApp();
    deps.limits.device = createRateLimit({ name: "device", quota: 2, windowSeconds: 60 }, deps.clock);
    const beat = async (assetId: string) => {
      const body = JSON.stringify(makeHeartbeat(1, state.nowMs, "host"));
      const signer = await openSession(assetId);
      return app.request(await signedRequest(EDGE_URL, "/v1/heartbeats", body, signer, state.nowMs / 1000));
    };
    const answers = [await beat(ASSET_ID), await beat(ASSET_ID), await beat(ASSET_ID)];
    expect(answers.map(({ status }) => status)).toEqual([202, 202, 429]);
    expect(answers[1]!.headers.get("ratelimit")).toBe('"device";r=0;t=60');
    expect(answers[2]!.headers.get("retry-after")).toBe("30");
    expect(answers[2]!.headers.get("ratelimit-policy")).toBe('"device";q=2;w=60');
    expect((await beat("01M807NRG7BVMVH9SM4YAEXFPH")).status).toBe(202);
    state.nowMs += 30_000;
    expect((await beat(ASSET_ID)).status).toBe(202);
  });

  test("malformed heartbeats of a device are parsed only within its quota", async () => {
    const { createRateLimit } = await import("../../../../edge/http/rate-limit.ts");
    for (const name of ["device", "tenant"] as const) {
      const { app, state, openSession, deps } = await makeEdgeApp();
      deps.limits[name] = createRateLimit({ name, quota: 2, windowSeconds: 60 }, deps.clock);
      const signer = await openSession();
      const statuses: number[] = [];
      for (const body of ["{", `{"v":${"9".repeat(1000)}}`, "{"]) {
        const request = await signedRequest(EDGE_URL, "/v1/heartbeats", body, signer, state.nowMs / 1000);
        statuses.push((await app.request(request)).status);
      }
      expect([name, statuses]).toEqual([name, [400, 400, 429]]);
    }
  });

  test("a forged heartbeat does not use the quota of the device that it names", async () => {
    const { app, state, openSession, deps } = await makeEdgeApp();
    const signer = await openSession();
    const request = await signedRequest(EDGE_URL, "/v1/heartbeats", "{}", signer, state.nowMs / 1000);
    const before = deps.limits.device.take(ASSET_ID).remaining;
    const headers = {
      ...Object.fromEntries(request.headers),
      signature: `lz=:${base64(new Uint8Array(32))}:`,
    };
    expect((await app.request(request.url, { method: "POST", headers, body: "{}" })).status).toBe(401);
    expect(deps.limits.device.take(ASSET_ID).remaining).toBe(before - 1);
  });
});
