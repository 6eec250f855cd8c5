import { describe, expect, test } from "bun:test";
import { run } from "../../../../lz/capacity/simulate.ts";
import type { Deps } from "../../../../lz/platform/deps.ts";
import { retryAfterSeconds, withRetries } from "../../../../lz/platform/retry.ts";
import { argumentsOf } from "../arguments-of.ts";

const NOW_MS = Date.UTC(2026, 10, 30, 12);
const answers = (...list: [status: number, retryAfter?: string][]) => {
  const sent: string[] = [];
  const paused: number[] = [];
  const stop = new AbortController();
  const send = withRetries(
    async (request) => {
      sent.push(await request.text());
      const [status, retryAfter] = list[Math.min(sent.length, list.length) - 1]!;
      return new Response("x", {
        status,
        headers: retryAfter === undefined ? {} : { "retry-after": retryAfter },
      });
    },
    { clock: () => NOW_MS, pause: async (ms) => void paused.push(ms), stop: stop.signal },
  );
  const post = async () =>
    (await send(new Request("http://edge.test/", { method: "POST", body: "b" }))).status;
  return { post, sent, paused, stop };
};

describe("withRetries()", () => {
  test("waits as long as a 503 or a 429 demands, and retries the same request", async () => {
    const { post, sent, paused } = answers([503, "5"], [429, "7"], [429], [201]);
    expect(await post()).toBe(201);
    expect(sent).toEqual(["b", "b", "b", "b"]);
    expect(paused).toEqual([5000, 7000, 1000]);
  });

  test.each([
    ["a 503 that names no time", [503] as [number]],
    ["a time beyond a minute", [503, "61"] as [number, string]],
    ["a Retry-After that is neither a number nor a date", [503, "soon"] as [number, string]],
    ["another fault, even with Retry-After", [500, "1"] as [number, string]],
    ["a refusal", [403, "1"] as [number, string]],
  ])("returns %s without a retry", async (_what, answer) => {
    const { post, sent, paused } = answers(answer, [201]);
    expect(await post()).toBe(answer[0]);
    expect([sent.length, paused.length]).toEqual([1, 0]);
  });

  test("gives up after 240 s, before the edge would reject the signature as stale", async () => {
    const { post, paused } = answers([503, "50"]);
    expect(await post()).toBe(503);
    expect(paused).toEqual([50_000, 50_000, 50_000, 50_000]);
  });

  test("does not wait if the command is stopped", async () => {
    const { post, stop, paused } = answers([503, "1"], [201]);
    stop.abort();
    expect(await post()).toBe(503);
    expect(paused).toEqual([]);
  });
});

test.each([
  ["120", 120],
  ["0", 1],
  ["Mon, 30 Nov 2026 12:00:30 GMT", 30],
  ["Mon, 30 Nov 2026 11:59:00 GMT", 1],
  ["soon", undefined],
  [null, undefined],
])("retryAfterSeconds(%p) is %p", (header, seconds) => {
  expect(retryAfterSeconds(header, NOW_MS)).toBe(seconds);
});

test("lz simulate enrols and reports although each kind of request first gets a 503 with Retry-After", async () => {
  const settings = { heartbeatIntervalMs: 5000, clientDirectories: false };
  const key = "A".repeat(43);
  const enrolled = {
    tenantId: "org_a",
    assetId: "01M807NRG7BVMVH9SM4YAEXFPG",
    jwks: { keys: [{ kty: "OKP", crv: "Ed25519", kid: "control-1", x: key }] },
    settings,
  };
  const session = { keyid: "k", key, expiresAtSeconds: Math.floor(Date.now() / 1000) + 3600, settings };
  const served: Record<string, [number, object]> = {
    "/v1/enrolment-tokens": [201, { token: "t" }],
    "/v1/enroll": [201, enrolled],
    "/v1/session": [200, session],
    "/v1/heartbeats": [202, { receivedAt: "2026-11-30T12:00:00.000Z" }],
  };
  const refusedOnce = new Set<string>(["/v1/heartbeats"]);
  const args = argumentsOf(
    ...["simulate", "--endpoints", "1", "--seconds", "1", "--interval", "1000"],
    ...["--url", "http://127.0.0.1:1", "--token", "t"],
  );
  const deps: Deps = {
    clock: Date.now,
    random: (length) => crypto.getRandomValues(new Uint8Array(length)),
    env: {},
    root: "/nonexistent",
    fetch: async (request) => {
      const { pathname } = new URL(request.url);
      if (!refusedOnce.has(pathname)) {
        refusedOnce.add(pathname);
        return new Response("", { status: 503, headers: { "retry-after": "1" } });
      }
      const [status, body] = served[pathname]!;
      return Response.json(body, { status });
    },
    note: () => {},
    stop: new AbortController().signal,
  };
  const { json, code } = await run(args, deps);
  expect(json).toMatchObject({ endpoints: 1, sent: 1, accepted: 1, refused: {} });
  expect(code).toBe(0);
}, 15_000);
