import { describe, expect, test } from "bun:test";
import {
  type Authentic,
  authenticate,
  checkIsolation,
  pathOf,
  validate,
} from "../../../../edge/heartbeat/admit-heartbeat.ts";
import {
  makeHeartbeat,
  NO_CONTAINMENT,
  sessionSigner,
  signedRequest,
} from "../../../../lz/platform/simulated-agents.ts";
import { base64, base64url, utf8 } from "../../../../shared/encoding/bytes.ts";
import { timestamp } from "../../../../shared/time/clock.ts";
import { LIMITS } from "../../../../shared/wire/heartbeat.ts";
import type { Signer } from "../../../../shared/wire/signature.ts";
import { ASSET_ID, EDGE_URL, makeEdgeApp, TENANT_ID } from "../../../support/edge/edge-app.ts";

const PATH = "/v1/heartbeats";
const BYTES_MAX = 1000;

/**
 * Test setup: an edge, one session, and the result of `authenticate()` for a request signed with this
 * session's key.
 */
async function makeOwnWorld() {
  const world = await makeEdgeApp();
  const signer = await world.openSession();
  const signed = (body = "{}", by: Signer = signer, path = PATH) =>
    signedRequest(EDGE_URL, path, body, by, world.state.nowMs / 1000);
  const check = (request: Request) => authenticate(request, BYTES_MAX, world.deps);
  return { ...world, signer, signed, check };
}

/** The test setup shared by all tests that do not change it. Generating the keys of an edge takes half a second. */
let shared: ReturnType<typeof makeOwnWorld> | undefined;
const makeWorld = () => {
  shared ??= makeOwnWorld();
  return shared;
};

/** Returns the request with changed headers. A header with the value undefined is removed. */
function withHeaders(request: Request, changed: Record<string, string | undefined>, body = "{}"): Request {
  const headers = new Headers(request.headers);
  for (const [name, value] of Object.entries(changed)) {
    if (value === undefined) headers.delete(name);
    else headers.set(name, value);
  }
  return new Request(request.url, { method: request.method, headers, body });
}

describe("authenticate()", () => {
  test("returns the session, the body and the time of receipt of a signed heartbeat", async () => {
    const { check, signed, signer, state } = await makeWorld();
    const answer = await check(await signed('{"a":1}'));
    expect(answer).toMatchObject({
      ok: true,
      value: {
        keyid: signer.keyid,
        session: { id: { tenantId: TENANT_ID, assetId: ASSET_ID } },
        body: utf8('{"a":1}'),
        receivedAtMs: state.nowMs,
      },
    });
  });

  test("verifies the path without its query", async () => {
    const { check, signed } = await makeWorld();
    const request = await signed();
    const moved = (to: string) =>
      new Request(`${EDGE_URL}${to}`, { method: "POST", headers: request.headers, body: "{}" });
    expect(await check(moved(`${PATH}?a=1`))).toMatchObject({ ok: true });
    expect(await check(moved("/v1/session"))).toMatchObject({ code: "wire.bad-signature" });
  });

  test.each([
    ["no signature", { signature: undefined }, "wire.unsigned"],
    [
      "a signature of another kind of key",
      { signature: `lz=:${base64(new Uint8Array(64))}:` },
      "wire.unsigned",
    ],
    ["a forged signature", { signature: `lz=:${base64(new Uint8Array(32))}:` }, "wire.bad-signature"],
    ["no digest", { "content-digest": undefined }, "wire.bad-signature"],
    ["an empty digest", { "content-digest": "" }, "wire.bad-signature"],
    ["a body of another type", { "content-type": "text/plain" }, "wire.media-type"],
  ] as const)("refuses %s", async (_what, changed, code) => {
    const { check, signed } = await makeWorld();
    expect(await check(withHeaders(await signed(), changed))).toMatchObject({ ok: false, code });
  });

  test("rejects a signature that is older or newer than the allowed clock difference", async () => {
    const { check, signed, state } = await makeWorld();
    const request = await signed();
    const skewMs = LIMITS.CLOCK_SKEW_SECONDS_MAX * 1000;
    for (const [shiftMs, isTaken] of [
      [skewMs, true],
      [skewMs + 1, false],
      [-skewMs, true],
      [-skewMs - 1, false],
    ] as const) {
      const nowMs = state.nowMs;
      state.nowMs += shiftMs;
      const answer = await check(request.clone());
      expect([shiftMs, answer.ok || answer.code]).toEqual([shiftMs, isTaken || "wire.stale"]);
      state.nowMs = nowMs;
    }
  });

  test("rejects a key id of an unknown secret, and a session from the second in which it expires", async () => {
    const { check, signed, deps, state } = await makeWorld();
    const other = await makeEdgeApp();
    expect(await check(await signed("{}", await other.openSession()))).toMatchObject({
      code: "wire.bad-signature",
    });
    const unknown = { ...(await other.openSession()), keyid: "nobody" };
    expect(await check(await signed("{}", unknown))).toMatchObject({ code: "wire.bad-signature" });
    const nowSeconds = state.nowMs / 1000;
    for (const [expiresAtSeconds, ok] of [
      [nowSeconds + 1, true],
      [nowSeconds, false],
    ] as const) {
      const issued = await deps.sessionKeys.issue({
        tenantId: TENANT_ID,
        assetId: ASSET_ID,
        expiresAtSeconds,
      });
      const signer = await sessionSigner({ keyid: issued.keyid, key: base64url(issued.bytes) });
      const answer = await check(await signed("{}", signer));
      expect(answer.ok || answer.code).toBe(ok || "wire.session-expired");
    }
  });

  test("rejects a body that does not match its signed digest, and a body beyond the size limit", async () => {
    const { check, signed } = await makeWorld();
    const request = await signed("{}");
    expect(await check(withHeaders(request, {}, "[]"))).toMatchObject({ code: "wire.bad-signature" });
    expect(await check(await signed(" ".repeat(BYTES_MAX)))).toMatchObject({ ok: true });
    expect(await check(await signed(" ".repeat(BYTES_MAX + 1)))).toMatchObject({ code: "wire.too-large" });
  });

  test("keeps the key of a verified request only", async () => {
    const { check, signed, deps, signer } = await makeOwnWorld();
    const kept: string[] = [];
    const { keep } = deps.sessionKeys;
    deps.sessionKeys.keep = (keyid, key) => {
      kept.push(keyid);
      keep(keyid, key);
    };
    const forged = { signature: `lz=:${base64(new Uint8Array(32))}:` };
    await check(withHeaders(await signed(), forged));
    expect(kept).toEqual([]);
    await check(await signed());
    expect(kept).toEqual([signer.keyid]);
  });
});

test.each([
  ["http://edge.test/v1/heartbeats", "/v1/heartbeats"],
  ["https://edge.test:8443/v1/a?x=/y", "/v1/a"],
  ["http://edge.test/", "/"],
  ["http://edge.test/?", "/"],
  ["http://edge.test//a//b", "//a//b"],
  ["http:///v1/a", "/v1/a"],
])("pathOf(%p) is %p", (url, path) => expect(pathOf(url)).toBe(path));

describe("validate()", () => {
  async function makeAuthentic(world: Awaited<ReturnType<typeof makeOwnWorld>>) {
    const authentic = async (text: string | Uint8Array<ArrayBuffer>): Promise<Authentic> => {
      const session = (await world.deps.sessionKeys.find(world.signer.keyid))!;
      const body = typeof text === "string" ? utf8(text) : text;
      return { keyid: world.signer.keyid, session, body, receivedAtMs: world.state.nowMs };
    };
    return { ...world, authentic };
  }
  const generation = (generation: number) => ({ containment: { ...NO_CONTAINMENT, generation } });

  test("takes tenant and asset from the session, and returns the generation in the report for new and repeated states", async () => {
    const { authentic, deps, state } = await makeAuthentic(await makeOwnWorld());
    let remembered = 0;
    const { remember } = deps.validatedStates;
    deps.validatedStates.remember = (...what) => {
      remembered++;
      remember(...what);
    };
    for (const [sequence, proven, times] of [
      [1, 4, 1],
      [2, 4, 1],
      [3, 5, 2],
    ] as const) {
      const heartbeat = makeHeartbeat(sequence, state.nowMs, "host", {
        stateSince: timestamp(1_790_000_000_000),
        ...generation(proven),
      });
      const text = JSON.stringify(heartbeat);
      expect(validate(await authentic(text), deps)).toEqual({
        ok: true,
        value: {
          tenantId: TENANT_ID,
          entry: { assetId: ASSET_ID, receivedAt: timestamp(state.nowMs), body: utf8(text) },
          provenGeneration: proven,
        },
      });
      expect(remembered).toBe(times);
    }
  });

  test.each([
    ["bytes that are not UTF-8", Uint8Array.of(0x22, 0xff, 0x22), "the body is not JSON in UTF-8"],
    ["text that is not JSON", "{", "the body is not JSON in UTF-8"],
    [
      "JSON that is nested too deep",
      "[".repeat(17) + "]".repeat(17),
      "the JSON is nested deeper than 16 levels",
    ],
    ["JSON that is no heartbeat", "{}", "v"],
    ["JSON that is no object", "1", "body"],
  ])("rejects %s and says where the error is", async (_what, body, detail) => {
    const { authentic, deps } = await makeAuthentic(await makeWorld());
    expect(validate(await authentic(body), deps)).toEqual({ ok: false, code: "wire.malformed", detail });
  });

  test.each(["\n", "\r", "\ufffe", "\uffff"])(
    "rejects %j, which the queue cannot transport",
    async (character) => {
      const { authentic, deps, state } = await makeAuthentic(await makeWorld());
      const isBreak = character === "\n" || character === "\r";
      const heartbeat = makeHeartbeat(1, state.nowMs, isBreak ? "host" : `host${character}`);
      const text = `${JSON.stringify(heartbeat)}${isBreak ? character : ""}`;
      expect(validate(await authentic(text), deps)).toEqual({
        ok: false,
        code: "wire.malformed",
        detail: "the body must be one line of JSON",
      });
    },
  );
});

describe("checkIsolation()", () => {
  const NOW_MS = 1_790_000_000_000;
  const receivedAt = timestamp(NOW_MS);
  const told = (action: object | undefined, provenGeneration = 2) =>
    checkIsolation(
      { tenantId: TENANT_ID, entry: { assetId: ASSET_ID, receivedAt, body: utf8("{}") }, provenGeneration },
      action && { generation: 3, directive: "d", expiresAtMs: NOW_MS + 1, revoked: false, ...action },
      NOW_MS,
    );

  test.each([
    ["no action", undefined, 2, {}],
    ["an action that is not proven", {}, 2, { directive: "d" }],
    ["an action that is proven", {}, 3, {}],
    ["an action that has expired", { expiresAtMs: NOW_MS }, 2, {}],
    ["an action without a directive", { directive: undefined }, 2, {}],
  ])("for %s returns the expected response", (_what, action, proven, more) => {
    expect(told(action, proven)).toEqual({ ok: true, value: { receivedAt, ...more } });
  });

  test("rejects a revoked asset, with or without a directive", () => {
    for (const directive of ["d", undefined])
      expect(told({ revoked: true, directive })).toMatchObject({ ok: false, code: "asset.revoked" });
  });
});
